using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>The packuments in <c>Fixtures/packuments</c>: real ones, and in <c>odd</c> hand-written ones with rare parts.</summary>
internal static class Fixture
{
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "Fixtures", "packuments");

    public static IReadOnlyList<(PackageName Name, byte[] Document)> All() =>
        [.. Directory.EnumerateFiles(Folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(file => (NameOf(file), File.ReadAllBytes(file)))];

    public static byte[] Odd(string name) => File.ReadAllBytes(Path.Combine(Folder, "odd", Uri.EscapeDataString(name) + ".json"));

    public static (PackumentIndex Index, byte[] Document) Read(string name, string json, ulong hashSeed = 0)
    {
        var document = Encoding.UTF8.GetBytes(json);
        return (PackumentReader.Read(document, PackageName.Parse(name), hashSeed: hashSeed).Index, document);
    }

    private static PackageName NameOf(string file) => PackageName.Parse(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file)));
}
