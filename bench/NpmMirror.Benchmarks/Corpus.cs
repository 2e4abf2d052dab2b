namespace NpmMirror.Benchmarks;

/// <summary>Real packuments, read from a folder of <c>&lt;percent-encoded name&gt;.json</c> files before anything is measured.</summary>
internal sealed class Corpus
{
    private Corpus(IReadOnlyList<(PackageName Name, byte[] Document)> packages) => Packages = packages;

    public IReadOnlyList<(PackageName Name, byte[] Document)> Packages { get; }

    public long SizeBytes => Packages.Sum(package => (long)package.Document.Length);

    public static Corpus Load(string folder)
    {
        var packages = new List<(PackageName, byte[])>();
        foreach (var file in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            packages.Add((PackageName.Parse(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file))), File.ReadAllBytes(file)));
        }

        return new Corpus(packages);
    }
}
