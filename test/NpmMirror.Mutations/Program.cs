using System.Text.Json;
using Microsoft.CodeAnalysis;
using NpmMirror.Mutations;

// weave TREE BIN FILES: puts switches into the copy of the tree; references are the programs of a build in BIN; FILES names the chosen files.
// run TREE WORK SEED SAMPLE EQUIVALENTS: tries a sample of the woven changes.
switch (args)
{
    case ["weave", var tree, var bin, var chosenFile]:
        Weave(Path.GetFullPath(tree), bin, [.. File.ReadLines(chosenFile).Where(line => line.Length > 0 && line[0] != '#')]);
        return 0;
    case ["run", var tree, var work, var seed, var sample, var equivalents]:
        return await new MutationRun(Path.GetFullPath(tree), Path.GetFullPath(work), int.Parse(seed, null), int.Parse(sample, null), equivalents).RunAsync();
    default:
        await Console.Error.WriteLineAsync("See test/mutate.sh.");
        return 2;
}

static void Weave(string tree, string bin, List<string> chosen)
{
    var shared = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
    var web = Path.Combine(shared, "../../Microsoft.AspNetCore.App", Path.GetFileName(shared));
    var files = Directory.EnumerateFiles(shared, "*.dll").Concat(Directory.EnumerateFiles(web, "*.dll")).Concat(Directory.EnumerateFiles(bin, "*.dll"));
    var references = files.DistinctBy(Path.GetFileName).Where(IsManaged).Select(file => (MetadataReference)MetadataReference.CreateFromFile(file)).ToList();
    var switches = Text("Mutations.cs");
    var catalogue = new List<Mutation>();
    foreach (var project in (string[])["NpmMirror", "NpmMirror.Sqlite", "NpmMirror.AspNetCore", "NpmMirror.Cli"])
    {
        var woven = new WovenProject(tree, project, Path.Combine(bin, "../../../obj", project, "debug"), references, switches);
        catalogue.AddRange(woven.Weave(file => chosen.Exists(pattern => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, file, ignoreCase: false)), catalogue.Count + 1));
        woven.Write();
        Console.WriteLine($"{project}: {catalogue.Count} switches so far.");
    }

    File.WriteAllText(Path.Combine(tree, "src/NpmMirror/Mutations.cs"), switches);
    File.WriteAllText(Path.Combine(tree, "test/NpmMirror.Tests/ReachedRecorder.cs"), Text("ReachedRecorder.cs"));
    File.WriteAllText(Path.Combine(tree, "mutations.json"), JsonSerializer.Serialize(catalogue));
}

static bool IsManaged(string file)
{
    try
    {
        return System.Reflection.AssemblyName.GetAssemblyName(file) is not null;
    }
    catch (BadImageFormatException)
    {
        return false;
    }
}

static string Text(string resource)
{
    using var reader = new StreamReader(typeof(Mutation).Assembly.GetManifestResourceStream(resource)!);
    return reader.ReadToEnd();
}
