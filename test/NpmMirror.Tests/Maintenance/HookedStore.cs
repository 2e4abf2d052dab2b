using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A store at whose calls a test can let something happen, just before or just after: what another process does at that moment.</summary>
public class HookedStore : DispatchProxy
{
    private static readonly string[] OfTarballs = [nameof(IMetadataStore.ForgetTarballAsync), nameof(IMetadataStore.IsReferencedAsync), nameof(IMetadataStore.PutTarballAsync)];

    private static readonly MethodInfo Calling = typeof(HookedStore).GetMethod(nameof(Call), BindingFlags.NonPublic | BindingFlags.Instance)!;

    private IMetadataStore? _store;
    private string[] _hooked = [];
    private Func<string, bool, ValueTask>? _hook;

    /// <summary>Wraps a store; the hook is told the method, and whether it is about to be called.</summary>
    public static IMetadataStore Over(IMetadataStore store, Func<string, bool, ValueTask> hook, params string[] methods)
    {
        var proxy = Create<IMetadataStore, HookedStore>();
        var hooked = (HookedStore)(object)proxy;
        (hooked._store, hooked._hook, hooked._hooked) = (store, hook, methods.Length > 0 ? methods : OfTarballs);
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _hooked.Contains(targetMethod!.Name)
        ? Calling.MakeGenericMethod(targetMethod.ReturnType.GenericTypeArguments[0]).Invoke(this, [targetMethod, args])
        : targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null);

    private ValueTask<T> Call<T>(MethodInfo method, object?[]? args)
    {
        return new(CallAsync());

        async Task<T> CallAsync()
        {
            await _hook!(method.Name, true);
            var answer = await (ValueTask<T>)method.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null)!;
            await _hook(method.Name, false);
            return answer;
        }
    }
}
