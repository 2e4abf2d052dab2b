using NpmMirror.Storage;

namespace NpmMirror.AspNetCore;

/// <summary>The id that this mirror sends with its own requests: one that comes back has gone round in a circle.</summary>
internal sealed class MirrorInstance(IMetadataStore store)
{
    internal const string Header = "npm-mirror-instance";

    private const string CursorKey = "instance";

    private string? _id;

    /// <summary>True when one of the ids, each of a mirror that the request came through, is ours.</summary>
    internal async ValueTask<bool> IsOwnAsync(Microsoft.Extensions.Primitives.StringValues ids, CancellationToken cancellationToken) =>
        await IdAsync(cancellationToken) is { } own
        && ids.ToString().Split(',', StringSplitOptions.TrimEntries).Contains(own, StringComparer.Ordinal);

    /// <summary>The id, or null while there is none.</summary>
    internal async ValueTask<string?> IdAsync(CancellationToken cancellationToken)
    {
        if (_id is { } known)
        {
            return known;
        }

        return _id = await store.GetCursorAsync(CursorKey, cancellationToken);
    }
}
