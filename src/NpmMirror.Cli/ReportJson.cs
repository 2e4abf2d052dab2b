using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Cli.Commands;
using NpmMirror.Copying;
using NpmMirror.Hosting;
using NpmMirror.Log;
using NpmMirror.Maintenance;

namespace NpmMirror.Cli;

/// <summary>The JSON that commands print, for people's programs. The compiler writes the code for each type: a native program has no other.</summary>
[JsonSerializable(typeof(BackupReport))]
[JsonSerializable(typeof(CollectedItem))]
[JsonSerializable(typeof(CopyFinding))]
[JsonSerializable(typeof(CopyReport))]
[JsonSerializable(typeof(GcReport))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, SettingReport>))]
[JsonSerializable(typeof(MirrorStatus))]
[JsonSerializable(typeof(Dictionary<string, object?>))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(Recoded))]
[JsonSerializable(typeof(ReconcileReport))]
[JsonSerializable(typeof(RemovedReport))]
[JsonSerializable(typeof(SyncJson))]
[JsonSerializable(typeof(TakedownReport))]
[JsonSerializable(typeof(VerifyFinding))]
[JsonSerializable(typeof(VerifyReport))]
internal sealed partial class ReportJson : JsonSerializerContext
{
    /// <summary>One line an item, with readable text: this JSON never gets into a page.</summary>
    internal static ReportJson Lines { get; } = new(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new Words<VerifyFault>(), new Words<GarbageKind>(), new Words<RemovalKind>() },
    });

    /// <summary>A document of many lines.</summary>
    internal static ReportJson Indented { get; } = new(new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true });

    private sealed class Words<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.KebabCaseLower)
        where T : struct, Enum;
}
