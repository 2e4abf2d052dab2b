namespace NpmMirror.Storage;

/// <summary>
/// Blobs that gc has taken out of sight, each in one rename: a reader or writer finds a whole blob under a hash, or none. A blob that lies here after a
/// crash is still whole, and the next gc checks it.
/// </summary>
internal sealed class CondemnedFiles(string folder, DurableFolders folders, string location)
{
    // Not the name of a blob, so that no listing takes it for one.
    private const string Suffix = ".condemned";

    /// <summary>Takes the file; null if there is none.</summary>
    internal CondemnedBlob? Take(Digest sha512, string path)
    {
        try
        {
            folders.Create(folder);
            File.Move(path, PathOf(sha512), overwrite: true);
            return Find(sha512, path);
        }
        catch (Exception trouble) when (trouble is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, location);
        }
    }

    /// <summary>One that was taken, or null.</summary>
    internal CondemnedBlob? Find(Digest sha512, string path)
    {
        var file = new FileInfo(PathOf(sha512));
        return file.Exists ? new Condemned(file, new BlobInfo(sha512, file.Length, new DateTimeOffset(file.LastWriteTimeUtc)), path, location) : null;
    }

    /// <summary>The hashes of all that lie here.</summary>
    internal IEnumerable<Digest> List() => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder, "*" + Suffix).Select(file => Path.GetFileName(file)[..^Suffix.Length]).Where(name => name.Length == 128 && name.All(char.IsAsciiHexDigitLower)).Select(Digest.FromHex)
        : [];

    private string PathOf(Digest sha512) => Path.Combine(folder, sha512.Hex + Suffix);

    private sealed class Condemned(FileInfo file, BlobInfo info, string path, string location) : CondemnedBlob
    {
        public override BlobInfo Info => info;

        public override ValueTask DeleteAsync(CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                file.Delete();
                return ValueTask.CompletedTask;
            }
            catch (Exception trouble) when (FileTrouble.IsOne(trouble))
            {
                throw FileTrouble.Explain(trouble, location);
            }
        }

        public override ValueTask RestoreAsync(CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                file.MoveTo(path, overwrite: false);
                return ValueTask.CompletedTask;
            }
            catch (IOException) when (File.Exists(path))
            {
                // The younger one stays: its age tells that a row is about to name it.
                return DeleteAsync(cancellationToken);
            }
            catch (Exception trouble) when (FileTrouble.IsOne(trouble))
            {
                throw FileTrouble.Explain(trouble, location);
            }
        }
    }
}
