using System.Buffers;

namespace NpmMirror;

/// <summary>
/// Reads a body that a peer sends. It takes memory for the bytes that have come, not for the announced length, and never waits for memory while it waits for
/// the peer: a body that is long, or does not fit into the share for arriving bodies, goes on in a file. When the whole body is here, it waits for its room.
/// </summary>
/// <remarks>
/// Why a file: several long bodies that grow in memory would each hold a part of the budget and wait for the rest, and each of them for its peer. So none
/// of them waits for more, or holds more than <see cref="ByteBudget.ArrivingMaxBytes"/>, and a body that waits for its whole room waits for work that ends by itself.
/// </remarks>
internal static class BodyIntake
{
    private const int FirstBytes = 64 * 1024;
    private const int PieceBytes = 64 * 1024;

    /// <summary>Reads to the end; null when the body is longer than the limit.</summary>
    internal static async Task<RawDocument?> ReadAsync(Stream body, ByteBudget budget, int limitBytes, BudgetUse use, CancellationToken cancellationToken)
    {
        var mostBytes = Math.Min(budget.ArrivingMaxBytes, limitBytes);
        var begun = RawDocument.TryBegin(budget, Math.Min(FirstBytes, mostBytes));
        try
        {
            if (begun is not null && await ReadIntoAsync(begun, body, mostBytes, cancellationToken))
            {
                await begun.SettleAsync(budget, use, cancellationToken);
                var whole = begun;
                begun = null;
                return whole;
            }

            return await ReadThroughFileAsync(begun, body, budget, limitBytes, use, cancellationToken);
        }
        finally
        {
            begun?.Dispose();
        }
    }

    /// <summary>True at the body's end; false if there is no room for more.</summary>
    private static async Task<bool> ReadIntoAsync(RawDocument begun, Stream body, int mostBytes, CancellationToken cancellationToken)
    {
        while (begun.RoomLeft.Length > 0 || begun.TryGrow((int)Math.Min(mostBytes, begun.LengthBytes * 2L)))
        {
            if (await begun.ReadOnceAsync(body, cancellationToken) == 0)
            {
                return true;
            }
        }

        return false;
    }

    private static async Task<RawDocument?> ReadThroughFileAsync(RawDocument? begun, Stream body, ByteBudget budget, int limitBytes, BudgetUse use, CancellationToken cancellationToken)
    {
        await using var file = SpillFile.Create(budget.SpillFolder);
        if (begun is not null)
        {
            await file.AppendAsync(begun.BytesMemory, cancellationToken);
            begun.Dispose();
        }

        if (!await CopyAsync(body, file, limitBytes, cancellationToken))
        {
            return null;
        }

        var document = await RawDocument.CreateAsync(budget, (int)file.LengthBytes, use, cancellationToken);
        try
        {
            await file.ReadIntoAsync(document, cancellationToken);
            return document;
        }
        catch
        {
            document.Dispose();
            throw;
        }
    }

    private static async Task<bool> CopyAsync(Stream body, SpillFile file, int limitBytes, CancellationToken cancellationToken)
    {
        var piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            int read;
            while ((read = await body.ReadAsync(piece, cancellationToken)) > 0)
            {
                if (file.LengthBytes + read > limitBytes)
                {
                    return false;
                }

                await file.AppendAsync(piece.AsMemory(0, read), cancellationToken);
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }
}
