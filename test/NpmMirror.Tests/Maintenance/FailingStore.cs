using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A store of which some calls fail while a test says so: as on a disk that is mounted read-only, or away.</summary>
public class FailingStore : DispatchProxy
{
    private IMetadataStore? _store;
    private string[] _methods = [];
    private Func<MirrorException?>? _failure;

    /// <summary>What a store that is read-only refuses, as far as <c>verify</c> comes to it.</summary>
    public static IMetadataStore ReadOnly(IMetadataStore store, Func<bool> isReadOnly) => Over(
        store,
        [nameof(IMetadataStore.SetCursorAsync), nameof(IMetadataStore.TryHoldLeaseAsync), nameof(IMetadataStore.StampVerifiedAsync)],
        () => isReadOnly() ? new MirrorException(MirrorFault.StoreReadOnly, "The store cannot be written.", isTransient: true) : null);

    /// <summary>Wraps a store of which one method fails.</summary>
    public static IMetadataStore Over(IMetadataStore store, string method, Func<MirrorException?> failure) => Over(store, [method], failure);

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
        _methods.Contains(targetMethod!.Name) && _failure!() is { } failure ? throw failure : targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null);

    private static IMetadataStore Over(IMetadataStore store, string[] methods, Func<MirrorException?> failure)
    {
        var proxy = Create<IMetadataStore, FailingStore>();
        var failing = (FailingStore)(object)proxy;
        (failing._store, failing._methods, failing._failure) = (store, methods, failure);
        return proxy;
    }
}
