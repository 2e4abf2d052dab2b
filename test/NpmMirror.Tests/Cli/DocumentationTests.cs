using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using NpmMirror.Options;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Cli;

/// <summary>The pages for users tell the truth.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public async Task Every_metric_has_a_line_for_operators()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(TestTools.Root, "docs/operating.md"), TestContext.Current.CancellationToken);
        // Of any kind: a served mirror has all of them.
        var instruments = new ConcurrentQueue<Instrument>();
        await using var mirror = await ServedMirror.StartAsync();
        using var listener = new MeterListener { InstrumentPublished = (instrument, _) => instruments.Enqueue(instrument) };
        listener.Start();
        var names = instruments.Where(instrument => instrument.Meter == mirror.Mirror.Meter).Select(instrument => instrument.Name).ToList();
        Assert.True(names.Count > 20);
        Assert.DoesNotContain(names, name => !page.Contains($"| `{name}` |", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_option_has_a_description() =>
        Assert.DoesNotContain(OptionDefinition.All, option => option.Description.Length == 0);

    [Fact]
    public void The_readme_names_only_options_that_exist_with_their_defaults()
    {
        var rows = OptionRow().Matches(File.ReadAllText(Path.Combine(TestTools.Root, "README.md")));
        Assert.NotEmpty(rows);
        foreach (Match row in rows)
        {
            var option = Assert.Single(OptionDefinition.All, option => option.Name == row.Groups[1].Value);
            var value = OptionValue.Format(option, option.Get(new MirrorOptions()));
            var stated = row.Groups[2].Value;
            Assert.True(value.Length == 0 || stated == $"`{value}`", $"{option.Name} is {value} by default, not {stated}.");
        }
    }

    [Claim("The files in deploy/ name only options that exist")]
    [Fact]
    public void The_files_for_deployment_name_only_options_that_exist()
    {
        var names = OptionDefinition.All.Select(option => option.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var named = Directory.EnumerateFiles(Path.Combine(TestTools.Root, "deploy"), "*", SearchOption.AllDirectories)
            .SelectMany(file => DeployedOption().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["flag"].Success ? match.Groups["flag"].Value : match.Groups["variable"].Value.Replace("__", ".", StringComparison.Ordinal))
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
        Assert.Superset(new HashSet<string>(["listen", "data", "upstream", "store.engine", "store.blobs"], StringComparer.OrdinalIgnoreCase), named);
        Assert.DoesNotContain(named, name => !names.Contains(name));
    }

    [Fact]
    public void Defaults_have_no_fault() => Assert.Empty(MirrorOptionsValidator.FindFaults(new MirrorOptions()));

    [GeneratedRegex("^\\| `([a-z]+(?:[A-Z.][a-zA-Z]*)*)` \\| ([^|]*) \\|[^|]*\\|$", RegexOptions.Multiline)]
    private static partial Regex OptionRow();

    [GeneratedRegex("(?:NPM_MIRROR__(?<variable>[A-Z_]+))|(?:(?<=serve|,|\\[|\"|status ) ?\"?--(?<flag>[a-z][A-Za-z.]*)=)")]
    private static partial Regex DeployedOption();
}
