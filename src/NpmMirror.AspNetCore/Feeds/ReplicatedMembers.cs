using NpmMirror.Packuments;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>Which of the members that replication needs a document has at its top itself, and where the members lie that a replicator gets.</summary>
internal sealed class ReplicatedMembers
{
    private const int RunsMax = 16;

    private readonly List<(int Start, int End)> _runs = [];

    private ReplicatedMembers()
    {
    }

    internal bool HasId { get; private set; }

    internal bool HasRev { get; private set; }

    internal bool HasRevisions { get; private set; }

    /// <summary>The members but for <c>_attachments</c>, in runs with the commas within them.</summary>
    internal IReadOnlyList<(int Start, int End)> Runs => _runs;

    /// <summary>Looks through a whole document, which is an object.</summary>
    internal static ReplicatedMembers Of(ReadOnlySpan<byte> document)
    {
        var own = new ReplicatedMembers();
        var begin = document.IndexOf((byte)'{');
        var members = new JsonMemberReader(document, new Slice(begin, document.Length - begin));
        for (var goesOn = false; members.MoveNext();)
        {
            // More of them than any document has are left in: they are harmless.
            if (JsonText.Is(members.Name, "_attachments"u8) && own._runs.Count < RunsMax)
            {
                goesOn = false;
                continue;
            }

            var end = members.Value.Offset + members.Value.Length;
            if (goesOn)
            {
                own._runs[^1] = (own._runs[^1].Start, end);
            }
            else
            {
                own._runs.Add((members.Start, end));
            }

            goesOn = true;
            own.Note(members.Name);
        }

        return own;
    }

    private void Note(ReadOnlySpan<byte> name)
    {
        HasId |= JsonText.Is(name, "_id"u8);
        HasRev |= JsonText.Is(name, "_rev"u8);
        HasRevisions |= JsonText.Is(name, "_revisions"u8);
    }
}
