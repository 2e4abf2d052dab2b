using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Storage;

namespace NpmMirror.Notes;

/// <summary>A node of a mirror that several share, as it noted itself.</summary>
/// <param name="Name">The machine and the process: <c>web-1/4711</c>.</param>
/// <param name="Version">The version of its program.</param>
/// <param name="StartedAt">When it started, by its clock.</param>
/// <param name="BeatAt">When it noted itself last, by its clock. Clocks of nodes differ.</param>
/// <param name="Owner">Distinguishes it from earlier processes of that name.</param>
/// <param name="Beat">Grows with each time that it notes itself.</param>
public sealed record NotedNode(string Name, string Version, DateTimeOffset StartedAt, DateTimeOffset BeatAt, string Owner, long Beat)
{
    /// <summary>The name of this process among the nodes.</summary>
    internal static string OwnName => $"{Environment.MachineName}/{Environment.ProcessId}";

    /// <summary>The nodes of a store, in the order of their names. One that was killed is among them for a quarter of a minute, or until another node runs.</summary>
    public static async ValueTask<IReadOnlyList<NotedNode>> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        await notes.FindAsync(MirrorCursors.Nodes, NotedNodeJson.Default.IReadOnlyListNotedNode, cancellationToken) ?? [];

    internal static async ValueTask WriteAsync(INoteTable notes, IEnumerable<NotedNode> nodes, CancellationToken cancellationToken)
    {
        IReadOnlyList<NotedNode> ordered = [.. nodes.OrderBy(node => node.Name, StringComparer.Ordinal)];
        await notes.SetNoteAsync(MirrorCursors.Nodes, ordered.Count == 0 ? null : JsonSerializer.Serialize(ordered, NotedNodeJson.Default.IReadOnlyListNotedNode), cancellationToken);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<NotedNode>))]
internal sealed partial class NotedNodeJson : JsonSerializerContext;
