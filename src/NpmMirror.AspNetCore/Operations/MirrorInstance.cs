using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>The id that this mirror sends with its own requests: one that comes back has gone round in a circle.</summary>
internal sealed class MirrorInstance(INoteTable notes)
{
    private string? _id;

    /// <summary>True when one of the mirrors that the request came through is this one.</summary>
    internal async ValueTask<bool> IsInAsync(MirrorChain chain, CancellationToken cancellationToken) =>
        await IdAsync(cancellationToken) is { } own && chain.Contains(own);

    /// <summary>The id, or null while there is none.</summary>
    internal async ValueTask<string?> IdAsync(CancellationToken cancellationToken)
    {
        if (_id is { } known)
        {
            return known;
        }

        return _id = await notes.FindNoteAsync(MirrorCursors.Instance, cancellationToken);
    }
}
