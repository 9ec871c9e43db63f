namespace Microsoft.ML;

/// <summary>Registers a loader: of what type it makes instances, and the names that model files call it by.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
internal sealed class LoadableClassAttribute : Attribute
{
    public LoadableClassAttribute(Type instType, Type loaderType, Type argType, Type sigType, string userName, params string[] loadNames)
    {
        InstanceType = instType;
        LoaderType = loaderType;
        ArgType = argType;
        SignatureType = sigType;
        UserName = userName;
        LoadNames = loadNames;
    }

    public Type InstanceType { get; }

    /// <summary>The type that has the static method Create.</summary>
    public Type LoaderType { get; }

    public Type ArgType { get; }

    /// <summary>A delegate type whose parameters are those of the method Create, after the environment.</summary>
    public Type SignatureType { get; }

    public string UserName { get; }

    public string[] LoadNames { get; }
}

/// <summary>The signature of loaders of models.</summary>
internal delegate void SignatureLoadModel(ModelLoadContext ctx);
