using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// The progress of verifications, kept in the store so that a run that was cut short goes on. A mark never passes a finding that was not mended: the next run
/// finds that again. Tarballs need no mark here, each has its own stamp.
/// </summary>
internal sealed record VerifyMarks
{
    /// <summary>Their note.</summary>
    internal const string Cursor = "verify:marks";

    /// <summary>When the run began that has not ended; null when the last one has.</summary>
    public DateTimeOffset? BegunAt { get; init; }

    /// <summary>When the last run began that read the log from its first row and found it right.</summary>
    public DateTimeOffset? LogRightAt { get; init; }

    /// <summary>The newest row up to which the log was found right.</summary>
    public long LogPosition { get; init; }

    /// <summary>That row's hash, in hexadecimal; null for none.</summary>
    public string? LogHash { get; init; }

    /// <summary>Whether the run that has not ended believed the log up to where it began to read.</summary>
    public bool IsLogBelieved { get; init; }

    /// <summary>When the last run began that found all documents right.</summary>
    public DateTimeOffset? DocumentsRightAt { get; init; }

    /// <summary>The last package looked at by the run that has not ended.</summary>
    public string? LastPackage { get; init; }

    /// <summary>Whether that was in the graveyard, which comes after all that is held.</summary>
    public bool IsInGraveyard { get; init; }

    /// <summary>Whether that run has checked all documents.</summary>
    public bool AreDocumentsDone { get; init; }

    /// <summary>The marks of a store.</summary>
    internal static async ValueTask<VerifyMarks> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        await notes.FindAsync(Cursor, VerifyMarksJson.Default.VerifyMarks, cancellationToken) ?? new VerifyMarks();

    /// <summary>Keeps the marks. If they cannot be written, the next run only repeats some work.</summary>
    internal async ValueTask<VerifyMarks> KeepAsync(INoteTable notes, CancellationToken cancellationToken)
    {
        try
        {
            await notes.SetNoteAsync(Cursor, JsonSerializer.Serialize(this, VerifyMarksJson.Default.VerifyMarks), cancellationToken);
        }
        catch (MirrorException trouble) when (trouble.Fault == MirrorFault.StoreReadOnly)
        {
            // A read-only copy is verified even so.
        }

        return this;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(VerifyMarks))]
internal sealed partial class VerifyMarksJson : JsonSerializerContext;
