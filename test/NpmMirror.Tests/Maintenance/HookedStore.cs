using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A store at whose calls a test can let something happen, just before or just after: what another process does at that moment.</summary>
public class HookedStore : DispatchProxy
{
    private static readonly string[] Hooked = [nameof(IMetadataStore.ForgetTarballAsync), nameof(IMetadataStore.IsReferencedAsync), nameof(IMetadataStore.PutTarballAsync)];

    private IMetadataStore? _store;
    private Func<string, bool, ValueTask>? _hook;

    /// <summary>Wraps a store; the hook is told the method, and whether it is about to be called.</summary>
    public static IMetadataStore Over(IMetadataStore store, Func<string, bool, ValueTask> hook)
    {
        var proxy = Create<IMetadataStore, HookedStore>();
        var hooked = (HookedStore)(object)proxy;
        (hooked._store, hooked._hook) = (store, hook);
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
        Hooked.Contains(targetMethod!.Name) ? new ValueTask<bool>(CallAsync(targetMethod, args)) : targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null);

    private async Task<bool> CallAsync(MethodInfo method, object?[]? args)
    {
        await _hook!(method.Name, true);
        var answer = await (ValueTask<bool>)method.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null)!;
        await _hook(method.Name, false);
        return answer;
    }
}
