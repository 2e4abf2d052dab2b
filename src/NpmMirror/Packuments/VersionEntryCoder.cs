namespace NpmMirror.Packuments;

/// <summary>
/// Writes and reads the versions of a stored index as differences from their neighbours: versions of one package have nearly the same
/// layout, so most of the stored bytes of one are its hash and its date.
/// </summary>
internal struct VersionEntryCoder
{
    private const byte HasTarballUrl = 1, HasAttestationsUrl = 2, HasDate = 4, IsDateExact = 8, IsOffsetAsExpected = 16, IsTarballUrlAsExpected = 32, IsAttestationsUrlAsExpected = 64;

    // One byte holds how many characters are as in the version before and how many follow; 15 = a text of its own follows.
    private const int ShortMax = 14, IsLong = 15;

    private string _version = "";
    private int _end, _gap, _length;
    private int _tarballDistance, _tarballSurplus;
    private int _attestationsDistance, _attestationsSurplus;
    private long _milliseconds;

    public VersionEntryCoder()
    {
    }

    public void Write(ref IndexWriter writer, in VersionEntry entry)
    {
        var manifest = entry.Manifest;
        var manifestEnd = manifest.Offset + manifest.Length;
        var gap = manifest.Offset - _end - entry.Version.Length;
        var (tarballDistance, tarballSurplus) = Shape(entry.TarballUrl, manifestEnd, entry.Version);
        var (attestationsDistance, attestationsSurplus) = Shape(entry.AttestationsUrl, manifestEnd, entry.Version);
        var ticks = entry.PublishedAt?.UtcTicks ?? 0;
        var header = (entry.TarballUrl.IsEmpty ? 0 : HasTarballUrl)
            | (entry.AttestationsUrl.IsEmpty ? 0 : HasAttestationsUrl)
            | (entry.PublishedAt is null ? 0 : HasDate)
            | (ticks % TimeSpan.TicksPerMillisecond == 0 ? 0 : IsDateExact)
            | (gap == _gap ? IsOffsetAsExpected : 0)
            | (tarballDistance == _tarballDistance && tarballSurplus == _tarballSurplus ? IsTarballUrlAsExpected : 0)
            | (attestationsDistance == _attestationsDistance && attestationsSurplus == _attestationsSurplus ? IsAttestationsUrlAsExpected : 0);
        writer.Byte((byte)header);
        WriteVersion(ref writer, entry.Version);
        writer.Hash(entry.Hash);
        writer.Difference(manifest.Length - _length);
        if (gap != _gap)
        {
            writer.Difference(gap - _gap);
        }

        if (!entry.TarballUrl.IsEmpty)
        {
            WriteShape(ref writer, header, IsTarballUrlAsExpected, tarballDistance - _tarballDistance, tarballSurplus - _tarballSurplus);
            (_tarballDistance, _tarballSurplus) = (tarballDistance, tarballSurplus);
        }

        if (!entry.AttestationsUrl.IsEmpty)
        {
            WriteShape(ref writer, header, IsAttestationsUrlAsExpected, attestationsDistance - _attestationsDistance, attestationsSurplus - _attestationsSurplus);
            (_attestationsDistance, _attestationsSurplus) = (attestationsDistance, attestationsSurplus);
        }

        if (entry.PublishedAt is not null)
        {
            var milliseconds = ticks / TimeSpan.TicksPerMillisecond;
            writer.Difference(milliseconds - _milliseconds);
            _milliseconds = milliseconds;
            if ((header & IsDateExact) != 0)
            {
                writer.Number((ulong)(ticks % TimeSpan.TicksPerMillisecond));
            }
        }

        (_version, _end, _gap, _length) = (entry.Version, manifestEnd, gap, manifest.Length);
    }

    public VersionEntry Read(ref IndexReader reader)
    {
        var header = reader.Byte();
        var version = ReadVersion(ref reader);
        var hash = reader.Hash();
        _length = reader.Add(_length);
        _gap = (header & IsOffsetAsExpected) != 0 ? _gap : reader.Add(_gap);
        var manifest = reader.Checked((long)_end + _gap + version.Length, _length);
        _end = manifest.Offset + manifest.Length;
        Slice tarballUrl = default, attestationsUrl = default;
        if ((header & HasTarballUrl) != 0)
        {
            tarballUrl = ReadShape(ref reader, (header & IsTarballUrlAsExpected) != 0, version, ref _tarballDistance, ref _tarballSurplus);
        }

        if ((header & HasAttestationsUrl) != 0)
        {
            attestationsUrl = ReadShape(ref reader, (header & IsAttestationsUrlAsExpected) != 0, version, ref _attestationsDistance, ref _attestationsSurplus);
        }

        DateTimeOffset? date = null;
        if ((header & HasDate) != 0)
        {
            _milliseconds = reader.AddLong(_milliseconds);
            date = IndexReader.DateOf(_milliseconds, (header & IsDateExact) != 0 ? reader.Integer() : 0);
        }

        _version = version;
        return new VersionEntry(version, manifest, tarballUrl, attestationsUrl, hash, date);
    }

    // Where a URL ends before its manifest does, and how much longer than its version it is.
    private static (int Distance, int Surplus) Shape(Slice url, int manifestEnd, string version) =>
        url.IsEmpty ? default : (manifestEnd - url.Offset - url.Length, url.Length - version.Length);

    private static void WriteShape(ref IndexWriter writer, int header, int asExpected, int distance, int surplus)
    {
        if ((header & asExpected) == 0)
        {
            writer.Difference(distance);
            writer.Difference(surplus);
        }
    }

    private readonly Slice ReadShape(ref IndexReader reader, bool isAsExpected, string version, ref int distance, ref int surplus)
    {
        if (!isAsExpected)
        {
            distance = reader.Add(distance);
            surplus = reader.Add(surplus);
        }

        var length = (long)surplus + version.Length;
        return reader.Checked((long)_end - distance - length, length);
    }

    private readonly void WriteVersion(ref IndexWriter writer, string version)
    {
        var shared = Math.Min(version.AsSpan().CommonPrefixLength(_version), ShortMax);
        var suffix = version.AsSpan(shared);
        if (suffix.Length <= ShortMax && System.Text.Ascii.IsValid(suffix))
        {
            writer.Byte((byte)((shared << 4) | suffix.Length));
            writer.Ascii(suffix);
            return;
        }

        shared = version.AsSpan().CommonPrefixLength(_version);
        writer.Byte(IsLong);
        writer.Number((ulong)shared);
        writer.Text(version.AsSpan(shared));
    }

    private readonly string ReadVersion(ref IndexReader reader)
    {
        var lengths = reader.Byte();
        if ((lengths & 15) != IsLong)
        {
            return string.Concat(Shared(lengths >> 4), reader.Ascii(lengths & 15));
        }

        var shared = reader.Integer();
        return string.Concat(Shared(shared), reader.Text());
    }

    private readonly ReadOnlySpan<char> Shared(int length) => length <= _version.Length ? _version.AsSpan(0, length) : throw IndexReader.Damaged();
}
