using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>A client's packages to audit, as it sent them: gzip stays gzip, so that a small body that unpacks to megabytes stays small here.</summary>
internal sealed class AuditBody : IDisposable
{
    /// <summary>A lockfile of 100,000 packages names them in fewer bytes than this.</summary>
    internal const int MaxBytes = 16 * 1024 * 1024;

    private AuditBody(RawDocument document, bool isGzip)
    {
        Document = document;
        IsGzip = isGzip;
    }

    /// <summary>The bytes, in the budget that all bodies share.</summary>
    internal RawDocument Document { get; }

    internal bool IsGzip { get; }

    /// <inheritdoc/>
    public void Dispose() => Document.Dispose();

    /// <summary>The request's body; null when it was answered already.</summary>
    internal static async Task<AuditBody?> ReadAsync(HttpContext context, ByteBudget budget, TimeSpan timeout, TimeProvider time)
    {
        var codings = BodyCodings.Parse(context.Request.Headers.ContentEncoding);
        if (codings is not { Problem: null, Applied: [] or [BodyCoding.Gzip] })
        {
            context.Response.Headers.AcceptEncoding = "gzip";
            await RegistryErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "The body's Content-Encoding is not understood; send it plain or with gzip.");
            return null;
        }

        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
        RawDocument? document = null;
        try
        {
            document = await RawDocument.ReadAsync(context.Request.Body, budget, MaxBytes, BudgetUse.Forwarding, either.Token);
            if (document is not null && await FitsAsync(document, codings, either.Token))
            {
                var body = new AuditBody(document, codings.Applied.Count > 0);
                document = null;
                return body;
            }

            await RegistryErrors.WriteAsync(context, StatusCodes.Status413PayloadTooLarge, $"The body is longer than {MaxBytes} bytes; audit fewer packages at once.");
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, "The body is not the gzip that its Content-Encoding promises, or was cut.");
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The packages to audit did not arrive in time, or there was no memory for them; ask again.", timeout);
        }
        finally
        {
            document?.Dispose();
        }

        return null;
    }

    /// <summary>Unpacks a piece at a time and only counts: the content must not be a bomb for the upstream either.</summary>
    private static async Task<bool> FitsAsync(RawDocument document, BodyCodings codings, CancellationToken cancellationToken)
    {
        await using var plain = codings.TakeOff(PipeReader.Create(new ReadOnlySequence<byte>(document.BytesMemory)).AsStream());
        var piece = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            var length = 0L;
            int read;
            while ((read = await plain.ReadAsync(piece, cancellationToken)) > 0)
            {
                length += read;
                if (length > MaxBytes)
                {
                    return false;
                }
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }
}
