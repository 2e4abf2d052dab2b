using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Notes;

/// <summary>A pause in requests to a host of the upstream, as a running mirror noted it.</summary>
/// <param name="Host">The host.</param>
/// <param name="Purpose">The purpose of the paused requests.</param>
/// <param name="Until">The end of the pause.</param>
/// <param name="Reason">The host's answer.</param>
public sealed record NotedPause(string Host, [property: JsonConverter(typeof(JsonStringEnumConverter<RequestPurpose>))] RequestPurpose Purpose, DateTimeOffset Until, string Reason)
{
    private static readonly TimeSpan Rounding = TimeSpan.FromSeconds(1);

    /// <summary>The purpose in words.</summary>
    [JsonIgnore]
    public string Words => Purpose switch
    {
        RequestPurpose.Fetching => "changes, packuments and tarballs",
        RequestPurpose.Search => "searches",
        RequestPurpose.Audit => "audits",
        RequestPurpose.InstallAudit => "audits of installs",
        RequestPurpose.Keys => "signing keys",
        _ => "attestations",
    };

    /// <summary>The pauses of a store that are not over.</summary>
    public static async ValueTask<IReadOnlyList<NotedPause>> ReadAsync(INoteTable notes, DateTimeOffset now, CancellationToken cancellationToken) =>
        // A clock that was set back since must not make a pause of years.
        [.. (await ReadAsync(notes, cancellationToken)).Where(pause => pause.Until > now && pause.Until <= now + RequestPauses.Longest)];

    internal static async ValueTask<IReadOnlyList<NotedPause>> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        await notes.FindAsync(MirrorCursors.Pauses, NotedPauseJson.Default.IReadOnlyListNotedPause, cancellationToken) ?? [];

    internal static async ValueTask WriteAsync(INoteTable notes, IReadOnlyList<NotedPause> pauses, CancellationToken cancellationToken) =>
        await notes.SetNoteAsync(MirrorCursors.Pauses, pauses.Count == 0 ? null : JsonSerializer.Serialize(pauses, NotedPauseJson.Default.IReadOnlyListNotedPause), cancellationToken);

    /// <summary>True for the same pause at another moment: its end is computed from the rest of the wait, and so is never quite equal.</summary>
    internal bool IsSameAs(NotedPause other) => Host == other.Host && Purpose == other.Purpose && (Until - other.Until).Duration() <= Rounding;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<NotedPause>))]
internal sealed partial class NotedPauseJson : JsonSerializerContext;
