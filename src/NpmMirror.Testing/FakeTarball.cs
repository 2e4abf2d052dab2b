using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace NpmMirror.Testing;

/// <summary>Makes real <c>.tgz</c> files: the same input gives the same bytes.</summary>
public static class FakeTarball
{
    // npm stamps every file of a tarball with this moment, so that packing twice gives the same bytes.
    private static readonly DateTimeOffset Stamp = new(1985, 10, 26, 8, 15, 0, TimeSpan.Zero);

    /// <summary>Packs files (path inside the package → content) below <c>package/</c>.</summary>
    public static byte[] Create(IEnumerable<KeyValuePair<string, byte[]>> files)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Optimal, leaveOpen: true))
        using (var tar = new TarWriter(gzip, TarEntryFormat.Ustar))
        {
            foreach (var (path, content) in files)
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, $"package/{path}")
                {
                    DataStream = new MemoryStream(content),
                    ModificationTime = Stamp,
                    Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
                });
            }
        }

        return output.ToArray();
    }

    /// <summary>Packs text files.</summary>
    public static byte[] Create(IEnumerable<KeyValuePair<string, string>> files) =>
        Create(files.Select(file => KeyValuePair.Create(file.Key, Encoding.UTF8.GetBytes(file.Value))));
}
