using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>How an archived document is stored.</summary>
internal readonly record struct ArchivedForm(DocumentCodec Codec, int RawSizeBytes)
{
    internal static ArchivedForm? Read(string text) =>
        text.Split(' ') is [var codec, var size] && int.TryParse(codec, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
            ? new ArchivedForm((DocumentCodec)number, bytes)
            : null;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(int)Codec} {RawSizeBytes}");
}
