using System.CommandLine;
using System.Globalization;
using NpmMirror.Copying;
using NpmMirror.Hosting;
using NpmMirror.Storage;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror copy</c>: moves a mirror into another store, of any engine.</summary>
internal static class CopyCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var from = new Option<string>("--from") { Description = "The mirror: its data folder, or its store as in store.engine (postgres://host/database)", Required = true };
        var to = new Option<string>("--to") { Description = "The copy: a new data folder, an empty store, or an earlier copy of this mirror, which is gone on with", Required = true };
        var blobsFrom = new Option<string?>("--blobs-from") { Description = "The mirror's tarballs, as in store.blobs (files:/path, s3://bucket); default: those in its data folder" };
        var blobsTo = new Option<string?>("--blobs-to") { Description = "Where their copy goes, as in store.blobs; default: the new data folder" };
        var fromOptions = Many("--from-option", "An option of the mirror's store, as name=value (layout=compact)");
        var toOptions = Many("--to-option", "An option of the copy's store, as name=value");
        var blobsFromOptions = Many("--blobs-from-option", "An option of the mirror's tarballs, as name=value (region=eu-west-1)");
        var blobsToOptions = Many("--blobs-to-option", "An option of the copy's tarballs, as name=value");
        var json = CommandRun.JsonOption();
        var command = new Command("copy", "Copy a whole mirror into another store, of any engine; run again, it goes on where it was, or brings what is new")
        {
            from, to, blobsFrom, blobsTo, fromOptions, toOptions, blobsFromOptions, blobsToOptions, json,
        };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, async settings =>
        {
            var data = settings.Options.Data;
            var source = CopyPlace.Parse(parsed.GetRequiredValue(from), parsed.GetValue(blobsFrom), parsed.GetValue(fromOptions) ?? [], parsed.GetValue(blobsFromOptions) ?? [], data);
            var target = CopyPlace.Parse(parsed.GetRequiredValue(to), parsed.GetValue(blobsTo), parsed.GetValue(toOptions) ?? [], parsed.GetValue(blobsToOptions) ?? [], data);
            if (parsed.GetValue(blobsTo) is not null && !source.HasBlobs)
            {
                throw new MirrorException(MirrorFault.BadInput, "--blobs-to says where the tarballs go, but not where they are; name that with --blobs-from.");
            }

            using var logging = Setup.CreateLogging(settings.Options.Log);
            return await RunAsync(source, target, logging, parsed.GetValue(json), cancellationToken);
        }));
        return command;

        static Option<string[]> Many(string name, string description) => new(name) { Description = description, Arity = ArgumentArity.ZeroOrMore };
    }

    private static async Task<int> RunAsync(CopyPlace from, CopyPlace to, ILoggerFactory logging, bool asJson, CancellationToken cancellationToken)
    {
        if (from.Files is { IsThere: false } missing)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"There is no mirror in {missing.Folder}, no {missing.FileName}; see that its disk is mounted, or name another place with --from.");
        }

        await using var source = from.CreateStore(logging);
        await using var target = to.CreateStore(logging);
        if (source.Location == target.Location)
        {
            throw new MirrorException(MirrorFault.BadInput, $"The mirror itself lives in {target.Location}; name another place for its copy.");
        }

        // No mirror begins to work in the folder meanwhile.
        using var follow = to.Files is { } place ? FollowLock.Take(place.Folder) : null;
        await source.OpenAsync(cancellationToken);
        await target.OpenAsync(cancellationToken);
        var (blobs, tarballs) = FindBlobs(from, to, logging);
        try
        {
            return await RunAsync(source, target, blobs, tarballs, asJson, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; run copy again to go on where it was.");
            return ExitCode.Failed;
        }
        finally
        {
            (blobs?.Source as IDisposable)?.Dispose();
            (blobs?.Target as IDisposable)?.Dispose();
        }
    }

    /// <summary>The places of the tarballs, and a sentence where their bytes are not copied.</summary>
    private static ((IBlobStore Source, IBlobStore Target)? Blobs, string? Left) FindBlobs(CopyPlace from, CopyPlace to, ILoggerFactory logging)
    {
        if (!from.HasBlobs)
        {
            return (null, "The bytes of tarballs were not copied, only their rows: name their place with --blobs-from to copy them, or serve the copy with the same store.blobs.");
        }

        var source = from.CreateBlobs(logging);
        if (!to.HasBlobs)
        {
            var left = $"The bytes of tarballs stay in {source.Location}: name a place with --blobs-to to copy them, or serve the copy with that place as store.blobs.";
            (source as IDisposable)?.Dispose();
            return (null, left);
        }

        var target = to.CreateBlobs(logging);
        if (source.Location != target.Location || !from.HasSameBlobOptionsAs(to))
        {
            return ((source, target), null);
        }

        (source as IDisposable)?.Dispose();
        (target as IDisposable)?.Dispose();
        return (null, $"The bytes of tarballs stay in {target.Location}, which both name.");
    }

    private static async Task<int> RunAsync(IMetadataStore source, IMetadataStore target, (IBlobStore Source, IBlobStore Target)? blobs, string? left, bool asJson, CancellationToken cancellationToken)
    {
        var progress = new ProgressLine(asJson, TimeProvider.System);
        var report = new JsonReport(Console.Out, "findings");
        var request = new CopyRequest
        {
            Progress = at => progress.Show(() => string.Create(CultureInfo.InvariantCulture, $"{at.Done}{(at.Total is { } total ? $" of {total}" : "")} {at.Part}, {at.Copied} copied")),
            Found = finding =>
            {
                progress.Clear();
                if (asJson)
                {
                    report.Add(finding, ReportJson.Lines.CopyFinding);
                }
                else
                {
                    Console.WriteLine($"missing {finding.Subject}: {finding.Problem}");
                }
            },
        };
        var summary = await report.FillAsync(() => new MirrorCopy(source, target, blobs, TimeProvider.System).RunAsync(request, cancellationToken));
        progress.Clear();
        if (asJson)
        {
            var ended = new CopyReport(
                source.Location,
                target.Location,
                blobs?.Source.Location,
                blobs?.Target.Location,
                summary.IsFinished,
                summary.IsContinued,
                summary.Counts,
                summary.Copied,
                summary.BlobBytes,
                summary.Left,
                summary.Found,
                new MirrorStatus.LogStatus(summary.Head.Position.Value, summary.Head.Hash.Hex));
            report.End(ended, ReportJson.Lines.CopyReport);
        }
        else
        {
            Print(source, target, summary, left);
        }

        return !summary.IsFinished ? ExitCode.Failed : summary.Found > 0 ? ExitCode.Found : ExitCode.Ok;
    }

    private static void Print(IMetadataStore source, IMetadataStore target, CopySummary summary, string? left)
    {
        var copied = string.Join(", ", summary.Copied.Where(part => part.Value > 0).Select(part => string.Create(CultureInfo.InvariantCulture, $"{part.Value} {part.Key}")));
        Console.WriteLine($"{(summary.IsContinued ? "Went on with the copy of" : "Copied")} {source.Location} to {target.Location}: {(copied.Length == 0 ? "nothing was new" : copied)} ({Amounts.Bytes(summary.BlobBytes)} of tarballs).");
        if (left is not null)
        {
            Console.WriteLine(left);
        }

        Console.WriteLine(summary.IsFinished
            ? $"Source and copy are equal: {summary.Counts.Packages} packages, {summary.Counts.Removed} removed, {summary.Counts.Tarballs} tarballs, {summary.Counts.Queued} queued; the log's head is {summary.Head.Position.Value}:{summary.Head.Hash.Hex}."
            : $"The mirror changes while it is copied: the last pass still found {summary.Left} differences. Stop the processes that use {source.Location} and run copy again; it takes what is new.");
    }
}

/// <summary>What a copy prints as JSON.</summary>
internal sealed record CopyReport(
    string From,
    string To,
    string? BlobsFrom,
    string? BlobsTo,
    bool IsFinished,
    bool IsContinued,
    StoreCounts Counts,
    IReadOnlyDictionary<string, long> Copied,
    long BlobBytes,
    long Left,
    int Found,
    MirrorStatus.LogStatus Log);
