using System.Reflection;
using System.Text.RegularExpressions;

namespace NpmMirror.Tests;

/// <summary>The shape of the tree itself: files stay small, nothing unfinished remains.</summary>
public sealed partial class TidyTests
{
    private const int LinesMax = 400;
    private const int NameMax = 69;

    private static readonly string Root = FindRoot();

    [Fact]
    public void No_file_grows_into_a_second_idea()
    {
        var tooLong = Sources("src").Where(file => File.ReadLines(file).Count() > LinesMax).Select(file => Path.GetRelativePath(Root, file)).ToList();
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Nothing_unfinished_remains()
    {
        var own = Path.Combine(Root, "test/NpmMirror.Tests/TidyTests.cs");
        var left = Sources("src").Concat(Sources("samples")).Concat(Sources("test")).Concat(Sources("bench")).Where(file => file != own).SelectMany(file => File.ReadLines(file)
            .Select((line, at) => (Line: line, At: $"{Path.GetRelativePath(Root, file)}:{at + 1}"))
            .Where(l => Leftover().IsMatch(l.Line))
            .Select(l => $"{l.At} {l.Line.Trim()}"));
        Assert.Empty(left);
    }

    [Fact]
    public void A_test_name_stays_under_70_characters()
    {
        Type[] inTheseAssemblies = [typeof(TidyTests), typeof(Conformance.MetadataStoreContract)];
        var tests = inTheseAssemblies.SelectMany(type => type.Assembly.GetTypes()).SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(method => method.IsDefined(typeof(FactAttribute), inherit: true)).ToList();
        Assert.NotEmpty(tests);
        Assert.Empty(tests.Where(test => test.Name.Length > NameMax).Select(test => $"{test.Name.Length}: {test.DeclaringType!.Name}.{test.Name}"));
    }

    [Fact]
    public void No_registry_is_named_by_its_address()
    {
        string[] endings = [".cs", ".md", ".sh", ".json", ".js", ".mjs", ".yml", ".yaml", ".props", ".csproj"];
        var files = Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories).Where(file => !IsOutput(file) && endings.Contains(Path.GetExtension(file)));
        var named = files.Where(file => RegistryAddress().IsMatch(File.ReadAllText(file))).Select(file => Path.GetRelativePath(Root, file)).ToList();
        Assert.Empty(named);
    }

    [Fact]
    public void Each_name_in_the_lists_of_small_changes_is_a_files()
    {
        var names = new[] { "test/mutate.files", "test/mutate.equivalents" }.SelectMany(list => File.ReadLines(Path.Combine(Root, list)))
            .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(" | ")[0]).Distinct();
        var gone = names.Where(name => Path.GetDirectoryName(Path.Combine(Root, name)) is var folder && !(Directory.Exists(folder) && Directory.EnumerateFiles(folder, Path.GetFileName(name)).Any())).ToList();
        Assert.Empty(gone);
    }

    private static IEnumerable<string> Sources(string folder) => Directory.Exists(Path.Combine(Root, folder))
        ? Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories).Where(file => !IsOutput(file))
        : [];

    private static bool IsOutput(string file) =>
        Path.GetRelativePath(Root, file).Split(Path.DirectorySeparatorChar).Any(part => part is "artifacts" or "obj" or "bin" or "node_modules" or ".test-tools" or ".git" or ".tools" or ".work");

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "NpmMirror.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests run from a clone of the repository.");
    }

    [GeneratedRegex(@"\b(TODO|FIXME|HACK)\b|NotImplementedException|async void|\bSkip *= *""")]
    private static partial Regex Leftover();

    // Split, so that the rule does not break itself.
    [GeneratedRegex(@"https?://(registry|replicate|api)\.(npm" + @"js|yarn" + @"pkg)\.")]
    private static partial Regex RegistryAddress();
}
