using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A store some of whose methods fail when a test says so.</summary>
internal static class FailingStore
{
    /// <summary>The refusals of a read-only store, as far as <c>verify</c> meets them.</summary>
    public static IMetadataStore ReadOnly(IMetadataStore store, Func<bool> isReadOnly) => Over(
        store,
        [nameof(INoteTable.SetNoteAsync), nameof(ILeaseTable.TryHoldLeaseAsync), nameof(ITarballTable.StampVerifiedAsync)],
        () => isReadOnly() ? new MirrorException(MirrorFault.StoreReadOnly, "The store cannot be written.", isTransient: true) : null);

    /// <summary>Wraps a store of which one method fails.</summary>
    public static IMetadataStore Over(IMetadataStore store, string method, Func<MirrorException?> failure) => Over(store, [method], failure);

    private static IMetadataStore Over(IMetadataStore store, string[] methods, Func<MirrorException?> failure) =>
        InterceptedStore.Over(store, call => methods.Contains(call.Method) && failure() is { } fault ? throw fault : call.Make());
}
