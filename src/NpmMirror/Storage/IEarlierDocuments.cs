namespace NpmMirror.Storage;

/// <summary>
/// Packuments that an earlier tool left in a store's place, for engines that keep that tool's layout. A mirror gives each of them its row before it does anything
/// else. Its cursor, if there is one, is the note <c>seq:last_seq</c>.
/// </summary>
public interface IEarlierDocuments
{
    /// <summary>The packages without a row, streamed; none after <see cref="CompleteAsync"/>. One may come twice, or have its row by now.</summary>
    IAsyncEnumerable<EarlierDocument> ListAsync(CancellationToken cancellationToken);

    /// <summary>Notes that all have their rows.</summary>
    ValueTask CompleteAsync(CancellationToken cancellationToken);
}

/// <summary>A packument of an earlier tool.</summary>
/// <param name="Name">The package.</param>
/// <param name="Json">The packument.</param>
/// <param name="IsRemoved">Whether the tool had noted its removal.</param>
public sealed record EarlierDocument(PackageName Name, ReadOnlyMemory<byte> Json, bool IsRemoved);
