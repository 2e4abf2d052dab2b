using System.CommandLine;
using System.Text.Json;
using NpmMirror.Cli.Settings;
using NpmMirror.Hosting;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror config</c>: every option in force and where it came from, secrets hidden.</summary>
internal static class ConfigCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var json = CommandRun.JsonOption();
        var command = new Command("config", "Print the options in force and where each came from; secrets are hidden") { json };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, async settings =>
        {
            Print(await DescribeAsync(settings, cancellationToken), parsed.GetValue(json));
            return ExitCode.Ok;
        }));
        return command;
    }

    /// <summary>The options as they are, and for an upstream that is not named the one that a command would take.</summary>
    private static async Task<List<(string Name, string Value, string Origin)>> DescribeAsync(EffectiveSettings settings, CancellationToken cancellationToken)
    {
        var (upstream, origin) = await FindUpstreamAsync(settings, cancellationToken);
        return [.. settings.Describe().Select(row => row.Name == "upstream" ? row with { Value = upstream, Origin = origin } : row)];
    }

    private static async Task<(string Value, string Origin)> FindUpstreamAsync(EffectiveSettings settings, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        if (options.Upstream is null && Setup.Locate(options) is { IsThere: true })
        {
            using var logging = Setup.CreateLogging(options.Log);
            try
            {
                await using var store = await Setup.OpenExistingStoreAsync(options, logging, cancellationToken);
                if (await UpstreamChoice.FindNotedAsync(store.Notes, cancellationToken) is { } noted)
                {
                    return (Masked.Address(noted), UpstreamChoice.AsNoted);
                }
            }
            catch (MirrorException failure)
            {
                // The other options are told even so: the user may be looking for the fault.
                return (failure.Message, UpstreamChoice.AsNoted);
            }
        }

        return (await UpstreamChoice.DescribeAsync(options, cancellationToken), settings.OriginOf("upstream"));
    }

    private static void Print(List<(string Name, string Value, string Origin)> rows, bool asJson)
    {
        if (asJson)
        {
            Console.Write(JsonSerializer.Serialize(rows.ToDictionary(row => row.Name, row => new SettingReport(row.Value, row.Origin)), ReportJson.Indented.IReadOnlyDictionaryStringSettingReport) + Environment.NewLine);
            return;
        }

        var nameWidth = rows.Max(row => row.Name.Length);
        var valueWidth = Math.Min(40, rows.Max(row => row.Value.Length));
        foreach (var (name, value, origin) in rows)
        {
            Console.WriteLine($"{name.PadRight(nameWidth)}  {value.PadRight(valueWidth)}  {origin}");
        }
    }
}

/// <summary>An option in force, as JSON.</summary>
internal sealed record SettingReport(string Value, string From);
