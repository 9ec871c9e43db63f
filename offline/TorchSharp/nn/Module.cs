// The base of all modules: registered parameters, buffers and submodules, their state, and moving them between devices and types.
using System.Reflection;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public class Module : IDisposable
        {
            private readonly OrderedDictionary<string, Parameter> ownParameters = [];
            private readonly OrderedDictionary<string, (Tensor tensor, bool persistent)> ownBuffers = [];
            private readonly OrderedDictionary<string, Module> submodules = [];
            private bool areComponentsRegistered;

            protected string name;

            protected Module(string name) => this.name = name;

            public bool training { get; private set; } = true;

            public virtual string GetName() => name;

            public virtual void register_parameter(string name, Parameter param)
            {
                ArgumentNullException.ThrowIfNull(param);
                if (!ownParameters.TryAdd(name, param)) throw new InvalidOperationException($"Parameter {name} is already registered.");
            }

            /// <summary>A parameter of the layers here, which have no field for it.</summary>
            private protected Parameter? Own(string name) => ownParameters.GetValueOrDefault(name);

            /// <summary>Replaces such a parameter. It lives as long as the module, whatever the dispose scope.</summary>
            private protected void Own(string name, Parameter? parameter)
            {
                if (ownParameters.Remove(name, out var before) && !ReferenceEquals(before, parameter)) before.Dispose();
                if (parameter is not null) ownParameters.Add(name, (Parameter)parameter.DetachFromDisposeScope());
            }

            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true)
            {
                ArgumentNullException.ThrowIfNull(tensor);
                if (!ownBuffers.TryAdd(name, (tensor, persistent)))
                    throw new InvalidOperationException($"Tensor {name} is already registered.");
            }

            public virtual void register_module(string name, Module submodule)
            {
                ArgumentNullException.ThrowIfNull(submodule);
                if (string.IsNullOrEmpty(name)) throw new ArgumentException("module name can't be empty string \"\"");
                if (name.Contains('.')) throw new ArgumentException($"module name can't contain \".\", got: {name}");
                if (!submodules.TryAdd(name, submodule)) throw new InvalidOperationException($"Sub-module {name} is already registered.");
                submodule.RegisterComponents();
            }

            public void add_module(string name, Module module) => register_module(name, module);

            /// <summary>Registers what the fields hold under their names: modules, parameters, and other tensors as buffers.</summary>
            protected virtual void RegisterComponents()
            {
                if (areComponentsRegistered) return;
                areComponentsRegistered = true;
                foreach (var field in GetType().GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance))
                {
                    string component = field.Name;
                    if (submodules.ContainsKey(component) || ownParameters.ContainsKey(component) || ownBuffers.ContainsKey(component))
                        continue;
                    switch (field.GetValue(this))
                    {
                        case Module module:
                            register_module(component, module);
                            break;
                        case Parameter parameter:
                            register_parameter(component, parameter);
                            break;
                        case Tensor tensor:
                            register_buffer(component, tensor);
                            break;
                    }
                }
            }

            protected void ClearModules() => submodules.Clear();

            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true) =>
                Named(ownParameters.Select(item => (item.Key, item.Value)), recurse, module => module.named_parameters());

            public virtual IEnumerable<Parameter> parameters(bool recurse = true) =>
                named_parameters(recurse).Select(item => item.parameter);

            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true)
            {
                var own = ownBuffers.Where(item => item.Value.persistent || include_nonpersistent);
                return Named(own.Select(item => (item.Key, item.Value.tensor)), recurse,
                    module => module.named_buffers(true, include_nonpersistent));
            }

            public virtual IEnumerable<Tensor> buffers(bool recurse = true, bool include_nonpersistent = true) =>
                named_buffers(recurse, include_nonpersistent).Select(item => item.buffer);

            public virtual IEnumerable<(string name, Module module)> named_children() => submodules.Select(item => (item.Key, item.Value));

            public virtual IEnumerable<Module> children() => submodules.Values;

            /// <summary>All modules within this one: one that is registered under several names, as one is that a field holds, is there under each.</summary>
            public virtual IEnumerable<(string name, Module module)> named_modules() => named_children().Concat(submodules.SelectMany(
                child => child.Value.named_modules(), (child, inner) => ($"{child.Key}.{inner.name}", inner.module)));

            public virtual IEnumerable<Module> modules() => named_modules().Select(item => item.module);

            public virtual Parameter? get_parameter(string target) =>
                named_parameters().FirstOrDefault(item => item.name == target).parameter;

            public virtual Tensor? get_buffer(string target) => named_buffers().FirstOrDefault(item => item.name == target).buffer;

            public virtual bool has_parameter(string target) => get_parameter(target) is not null;

            public virtual bool has_buffer(string target) => get_buffer(target) is not null;

            public virtual Module apply(Action<Module> fn)
            {
                foreach (var child in children()) child.apply(fn);
                fn(this);
                return this;
            }

            public virtual void train(bool train = true)
            {
                training = train;
                foreach (var child in children()) child.train(train);
            }

            public virtual void eval() => train(false);

            public virtual void zero_grad(bool set_to_none = true)
            {
                foreach (var parameter in parameters())
                {
                    if (set_to_none) parameter.grad = null;
                    else if (parameter.grad is { } grad) using (grad) grad.zero_();
                }
            }

            public virtual Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
            {
                destination ??= [];
                string start = string.IsNullOrEmpty(prefix) ? "" : prefix + ".";
                foreach (var (name, parameter) in ownParameters) destination.TryAdd(start + name, parameter);
                foreach (var (name, buffer) in named_buffers(recurse: false, include_nonpersistent: false))
                    destination.TryAdd(start + name, buffer);
                foreach (var (name, module) in submodules) module.state_dict(destination, start + name);
                return destination;
            }

            public virtual (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(Dictionary<string, Tensor> source,
                bool strict = true, IList<string>? skip = null)
            {
                skip ??= [];
                var destination = state_dict();
                var missing = destination.Keys.Except(source.Keys).Except(skip).ToList();
                var unexpected = source.Keys.Except(destination.Keys).Except(skip).ToList();
                if (strict && missing.Count + unexpected.Count > 0)
                {
                    throw new InvalidOperationException("The loaded state_dict is not identical to the target dictionary: " +
                        $"missing [{string.Join(", ", missing)}], unexpected [{string.Join(", ", unexpected)}].");
                }
                using var _ = no_grad();
                foreach (var (key, value) in source)
                {
                    if (skip.Contains(key) || !destination.TryGetValue(key, out var target)) continue;
                    if (!target.shape.SequenceEqual(value.shape))
                    {
                        throw new ArgumentException($"{key} has the shape [{string.Join(", ", target.shape)}], " +
                            $"and cannot be loaded from one of shape [{string.Join(", ", value.shape)}].");
                    }
                    target.copy_(value);
                }
                return (missing, unexpected);
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (!disposing) return;
                foreach (var parameter in ownParameters.Values) parameter.Dispose();
                foreach (var (tensor, _) in ownBuffers.Values) tensor.Dispose();
                foreach (var module in submodules.Values) module.Dispose();
            }

            /// <summary>Converts parameters and buffers in place: only floating-point ones change their type.</summary>
            internal void Convert(ScalarType? type, Device? device)
            {
                if (type is { } wanted && !is_floating_point(wanted))
                    throw new ArgumentException($"Modules can be converted to floating-point types only, not to {wanted}.");
                using var _ = no_grad();
                foreach (var tensor in parameters().Concat(buffers()))
                {
                    using var grad = tensor.grad;
                    bool requiresGrad = tensor.requires_grad;
                    tensor.Become(Converted(tensor).requires_grad_(requiresGrad));
                    if (grad is not null) tensor.grad = Converted(grad);
                }

                Tensor Converted(Tensor tensor)
                {
                    using var detached = tensor.detach();
                    return detached.to(tensor.is_floating_point() ? type ?? tensor.dtype : tensor.dtype, device ?? tensor.device);
                }
            }

            /// <summary>A module's own items, then those of its submodules under the submodules' names; each item once.</summary>
            private IEnumerable<(string, T)> Named<T>(IEnumerable<(string, T)> own, bool recurse,
                Func<Module, IEnumerable<(string, T)>> items) where T : class
            {
                var inherited = recurse
                    ? submodules.SelectMany(child => items(child.Value), (child, item) => ($"{child.Key}.{item.Item1}", item.Item2))
                    : [];
                return own.Concat(inherited).DistinctBy(item => item.Item2, ReferenceEqualityComparer.Instance);
            }
        }
    }
}

public static class ModuleExtensionMethods
{
    public static T to<T>(this T module, torch.ScalarType type, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, type, null);

    public static T to<T>(this T module, torch.Device device, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, null, device);

    public static T to<T>(this T module, torch.Device device, torch.ScalarType type, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, type, device);

    public static T to<T>(this T module, DeviceType deviceType, int deviceIndex = -1, bool non_blocking = false)
        where T : torch.nn.Module => Convert(module, null, new torch.Device(deviceType, deviceIndex));

    public static T to<T>(this T module, string device, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, null, new torch.Device(device));

    public static T cpu<T>(this T module, bool non_blocking = false) where T : torch.nn.Module => Convert(module, null, torch.CPU);

    public static T cuda<T>(this T module, int deviceIndex = -1, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, null, new torch.Device(DeviceType.CUDA, deviceIndex));

    public static T @float<T>(this T module, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, torch.ScalarType.Float32, null);

    public static T @double<T>(this T module, bool non_blocking = false) where T : torch.nn.Module =>
        Convert(module, torch.ScalarType.Float64, null);

    private static T Convert<T>(T module, torch.ScalarType? type, torch.Device? device) where T : torch.nn.Module
    {
        module.Convert(type, device);
        return module;
    }
}
