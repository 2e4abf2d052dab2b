using System.IO.Pipelines;
using System.Text;
using NpmMirror.Feeds;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Feeds;

/// <summary>The invariants for any feed: it is read, or refused by a <see cref="MirrorException"/>, and how the network cuts it makes no difference.</summary>
internal static class FeedProperties
{
    private static readonly Uri Address = new("http://127.0.0.1/feed");
    private static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(2);

    /// <summary>Pages of the shapes that feeds have, to be mutated.</summary>
    public static IReadOnlyList<byte[]> Pages { get; } =
    [
        Page("{\"results\":[\n{\"seq\":1,\"id\":\"a\",\"changes\":[{\"rev\":\"1-x\"}]},\n{\"seq\":2,\"id\":\"@scope/\u65e5\U0001f600\",\"changes\":[{\"rev\":\"2-y\"},{\"rev\":\"2-z\"}],\"deleted\":true},\n{\"seq\":9,\"id\":\"_design/app\",\"changes\":[]}\n],\n\"last_seq\":9,\"pending\":3}\n"),
        Page("{\"results\":[{\"seq\":\"12-g1AAAA\",\"id\":\"b\",\"changes\":[{\"rev\":\"37-abc\"}],\"doc\":{\"_id\":\"b\",\"id\":\"not-this\",\"versions\":{\"1.0.0\":{\"x\":\"]},{\\\"\"}}}},{\"seq\":[13,\"g1AA\"],\"id\":\"c\",\"changes\":[{\"rev\":\"1-a\"}]}],\"last_seq\":\"13-g1AAAB\",\"pending\":0}"),
        Page("{\"results\":[],\"last_seq\":89797387}"),
        Page("{\"last_seq\":5,\"results\":[{\"id\":\"d\",\"seq\":5,\"changes\":[{\"rev\":\"1-d\"}]}]}"),
        Page("{\"total_rows\":3,\"offset\":0,\"rows\":[\n{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"}},\n{\"id\":\"\\u0062\",\"key\":\"b\",\"value\":{\"rev\":\"2-b\"}},\n{\"id\":\"c\",\"key\":\"c\",\"value\":null}\n]}\n"),
        Page("{\"seq\":1,\"id\":\"a\",\"changes\":[{\"rev\":\"1-x\"}]}\n\n{\"seq\":2,\"id\":\"b\",\"changes\":[{\"rev\":\"1-x\"}],\"deleted\":true}\r\n\n{\"last_seq\":2}\n"),
    ];

    /// <summary>A mutator of those pages.</summary>
    public static PackumentMutator CreateMutator() => new(Pages.Select(page => (PackageName.Parse("feed"), page)));

    /// <summary>Reads the page in one piece and in random pieces. True when it was accepted as any of the three forms; a broken promise is an exception.</summary>
    public static async Task<bool> HoldAsync(byte[] page, Random random)
    {
        var isAccepted = false;
        foreach (var read in new Func<PipeReader, CancellationToken, Task<string>>[] { ReadPagesAsync, ReadLinesAsync, ReadListAsync })
        {
            var before = ProcessorTime.OfThread();
            var whole = await OutcomeAsync(read, page, [page.Length]);
            var took = ProcessorTime.OfThread() - before;
            var pieces = await OutcomeAsync(read, page, Cut(page.Length, random));
            if (whole != pieces)
            {
                throw new InvalidOperationException($"How it is cut makes a difference. In one piece: {whole}. In pieces: {pieces}.");
            }

            if (took > TimeMax)
            {
                throw new InvalidOperationException($"A page took {took.TotalSeconds:F1} s.");
            }

            // A feed of lines has no end that could be missing: nothing is refused there.
            isAccepted |= whole is not "refused" && read != ReadLinesAsync;
        }

        return isAccepted;
    }

    private static async Task<string> OutcomeAsync(Func<PipeReader, CancellationToken, Task<string>> read, byte[] page, int[] pieces)
    {
        using var stream = new PiecesStream(page, pieces);
        try
        {
            return await read(PipeReader.Create(stream), CancellationToken.None);
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.UpstreamMalformed or MirrorFault.UpstreamUnavailable)
        {
            return "refused";
        }
    }

    private static async Task<string> ReadPagesAsync(PipeReader pipe, CancellationToken cancellationToken)
    {
        var seen = new StringBuilder();
        await foreach (var page in ChangesReader.ReadPagesAsync(pipe, new Sequence("0"), 10_000, Address, cancellationToken))
        {
            Describe(page, seen).Append(page.IsAtHead);
        }

        return seen.ToString();
    }

    private static async Task<string> ReadLinesAsync(PipeReader pipe, CancellationToken cancellationToken)
    {
        // Rows that arrive together are a page, so only rows and the end are the same in every cut.
        var seen = new StringBuilder();
        var last = new Sequence("0");
        await foreach (var page in ChangesReader.ReadLinesAsync(pipe, last, Address, cancellationToken))
        {
            page.Rows.ToList().ForEach(row => seen.Append(row));
            last = page.LastSequence;
        }

        return seen.Append(last).ToString();
    }

    private static async Task<string> ReadListAsync(PipeReader pipe, CancellationToken cancellationToken) =>
        string.Join(';', await ChangesReader.ReadListAsync(pipe, Address, cancellationToken).ToListAsync(cancellationToken));

    private static StringBuilder Describe(ChangesPage page, StringBuilder seen)
    {
        page.Rows.ToList().ForEach(row => seen.Append(row));
        return seen.Append(page.LastSequence).Append(page.Skipped.Count);
    }

    private static int[] Cut(int length, Random random)
    {
        var pieces = new List<int>();
        var largest = random.Next(4) switch { 0 => 1, 1 => 3, 2 => 40, _ => 4_000 };
        for (var at = 0; at < length; at += pieces[^1])
        {
            pieces.Add(random.Next(1, largest + 1));
        }

        return [.. pieces];
    }

    private static byte[] Page(string json) => Encoding.UTF8.GetBytes(json);

    /// <summary>Gives its bytes out in pieces of given lengths, as a network does.</summary>
    private sealed class PiecesStream(byte[] bytes, int[] pieces) : Stream
    {
        private int _at;
        private int _piece;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => _at; set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            var length = _at == bytes.Length ? 0 : Math.Min(Math.Min(buffer.Length, pieces[_piece++ % pieces.Length]), bytes.Length - _at);
            bytes.AsSpan(_at, length).CopyTo(buffer);
            _at += length;
            return length;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
