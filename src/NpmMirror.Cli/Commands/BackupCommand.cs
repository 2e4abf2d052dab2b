using System.CommandLine;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Storage;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror backup FOLDER</c>: a copy that can be served as it is, taken while the mirror runs.</summary>
internal static class BackupCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var target = new Argument<string>("folder") { Description = "Where to: a new folder, or an earlier backup of the same mirror, whose tarballs are not copied again" };
        var json = CommandRun.JsonOption();
        var command = new Command("backup", "Copy the mirror while it runs; restore by serving the copy: npm-mirror serve --data=FOLDER") { target, json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetRequiredValue(target), parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, string target, bool asJson, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        if (string.IsNullOrWhiteSpace(target))
        {
            throw new MirrorException(MirrorFault.BadInput, "The folder of the backup is empty; name one.");
        }

        if (Path.GetFullPath(target) == Path.GetFullPath(options.Data))
        {
            throw new MirrorException(MirrorFault.BadInput, $"The mirror itself lives in {target}; name another folder for its backup.");
        }

        using var logging = Setup.CreateLogging(options.Log);
        Setup.RequireExistingStore(options);
        await using var store = Setup.CreateStore(options, logging);
        var copies = store.Backup
            ?? throw new MirrorException(MirrorFault.BadInput, $"{store.Location} is not backed up this way: its database has its own tools, and the tarballs are the files under data.");
        await store.OpenAsync(cancellationToken);

        var backup = new Backup(store, copies, Setup.CreateBlobs(options, logging), new FileBlobStore(target, logging.CreateLogger<FileBlobStore>()), target);
        var (copied, bytes) = await backup.RunAsync(cancellationToken);
        var folder = Path.GetFullPath(target);
        Console.WriteLine(asJson
            ? JsonSerializer.Serialize(new BackupReport(store.Location, folder, copied, bytes), ReportJson.Lines.BackupReport)
            : $"Backed up {store.Location} to {folder}: metadata and {copied} tarballs that were not there yet ({Amounts.Bytes(bytes)}). Restore: npm-mirror serve --data={target}");
        return ExitCode.Ok;
    }
}

/// <summary>What a backup prints as JSON.</summary>
internal sealed record BackupReport(string Location, string Folder, int TarballsCopied, long BytesCopied);
