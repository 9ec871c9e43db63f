using System.Collections.Concurrent;
using System.Reflection;

namespace Microsoft.ML.Runtime;

/// <summary>The loaders that the assemblies registered so far declare by <see cref="LoadableClassAttribute"/>.</summary>
public sealed class ComponentCatalog
{
    private readonly ConcurrentDictionary<Assembly, bool> _assemblies = [];
    private readonly ConcurrentDictionary<(Type Signature, string Name), LoadableClassAttribute> _loaders = [];

    internal ComponentCatalog()
    {
    }

    public void RegisterAssembly(Assembly assembly, bool throwOnError = true)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        if (_assemblies.ContainsKey(assembly))
            return;
        try
        {
            // ML.NET looks for further attributes on every type: an assembly that cannot load all of its types cannot be registered.
            assembly.GetTypes();
            foreach (var loader in assembly.GetCustomAttributes<LoadableClassAttribute>())
            {
                foreach (string name in loader.LoadNames)
                    _loaders[(loader.SignatureType, name.ToLowerInvariant())] = loader;
            }
            _assemblies[assembly] = true;
        }
        catch (Exception) when (!throwOnError)
        {
        }
    }

    /// <summary>Calls the loader of that signature and name, or returns null if there is none.</summary>
    internal TResult CreateInstanceOrNull<TResult, TSignature>(IHostEnvironment env, string name, object argument) where TResult : class
    {
        if (!_loaders.TryGetValue((typeof(TSignature), name.ToLowerInvariant()), out var loader)
            || !typeof(TResult).IsAssignableFrom(loader.InstanceType))
            return null;
        var create = loader.LoaderType.GetMethod("Create", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic,
            [typeof(IHostEnvironment), argument.GetType()])
            ?? throw env.Except($"Loader '{name}' has no static method Create(IHostEnvironment, {argument.GetType().Name}).");
        try
        {
            return (TResult)create.Invoke(null, [env, argument]);
        }
        catch (TargetInvocationException problem) when (problem.InnerException.IsMarked())
        {
            throw env.Except(problem, "Error during class instantiation");
        }
    }
}
