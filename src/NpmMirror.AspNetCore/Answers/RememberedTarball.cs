using System.Net;
using Microsoft.Win32.SafeHandles;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>A stored tarball, while it is held and may be served.</summary>
/// <param name="headers">The lines that go with 200 and 304 alike.</param>
/// <param name="etag">Its ETag, quotes included.</param>
/// <param name="path">Its file.</param>
/// <param name="lengthBytes">Its length.</param>
/// <param name="smallFiles">Holds the bytes of files that are asked for often.</param>
/// <param name="isServable">Whether it still may be served, as far as that is known without asking the store.</param>
/// <param name="record">Told the client that was served.</param>
/// <param name="time">The clock.</param>
internal sealed class RememberedTarball(string headers, string? etag, string path, long lengthBytes, SmallFiles smallFiles, Func<bool> isServable, Action<EndPoint?> record, TimeProvider time)
    : RememberedAnswer(RegistryRoute.TarballPattern, headers, "", etag)
{
    /// <summary>A file that is opened again so soon is asked for often. An install asks for each of its hundreds once: they would only replace each other.</summary>
    private static readonly TimeSpan Often = TimeSpan.FromSeconds(1);

    private const long Never = long.MinValue;

    private readonly bool _isSmall = lengthBytes <= SmallFiles.LengthMaxBytes;
    private long _openedAt = Never;

    /// <inheritdoc/>
    internal override bool TryBegin(ReadOnlySpan<byte> ifNoneMatch, EndPoint? client, out AnswerBody body)
    {
        body = default;
        if (!isServable())
        {
            return false;
        }

        if (IsKnown(ifNoneMatch))
        {
            return true;
        }

        if (Read() is not { } read)
        {
            return false;
        }

        record(client);
        body = read;
        return true;
    }

    /// <summary>Its bytes or its file; null if the file has changed: the server finds out why.</summary>
    private AnswerBody? Read()
    {
        if (_isSmall && smallFiles.Find(path) is { } held)
        {
            return new AnswerBody(held, null, lengthBytes);
        }

        if (Open() is not { } file)
        {
            return null;
        }

        if (!_isSmall || !IsOpenedOften())
        {
            return new AnswerBody(null, file, lengthBytes);
        }

        using (file)
        {
            try
            {
                return new AnswerBody(smallFiles.Take(path, file, (int)lengthBytes), null, lengthBytes);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }

    private bool IsOpenedOften()
    {
        var now = time.GetTimestamp();
        var before = Interlocked.Exchange(ref _openedAt, now);
        return before != Never && time.GetElapsedTime(before, now) < Often;
    }

    /// <summary>The file, or null if it has changed: the server finds out why.</summary>
    private SafeFileHandle? Open()
    {
        try
        {
            var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            if (RandomAccess.GetLength(file) == lengthBytes)
            {
                return file;
            }

            file.Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Deleted or unreadable.
        }

        return null;
    }
}
