using System.IO.Pipelines;

namespace NpmMirror.Tests;

public sealed class BodyIntakeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<int, int> Lengths()
    {
        var lengths = new TheoryData<int, int>();
        foreach (var limit in new[] { 1, 65_536, 65_537, 1_048_576, 3_000_000 })
        {
            foreach (var length in new[] { 0, 1, 65_535, 65_536, 65_537, 1_048_575, 1_048_576, 1_048_577, 3_000_000 })
            {
                lengths.Add(length, limit);
            }
        }

        return lengths;
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public async Task Gives_the_very_bytes_whether_there_is_room_in_memory_or_not(int length, int limit)
    {
        using var folder = new TestFolder();
        foreach (var budgetBytes in new[] { 1_000, 1_000_000, 100_000_000 })
        {
            using var budget = new ByteBudget(budgetBytes, folder.Path);
            var body = new byte[length];
            new Random(length).NextBytes(body);
            using (var document = await RawDocument.ReadAsync(new MemoryStream(body), budget, limit, BudgetUse.Storing, Token))
            {
                Assert.Equal(length <= limit, document is not null);
                Assert.True(document is null || document.Bytes.SequenceEqual(body));
                Assert.Equal(document is null ? 0 : length, budget.UsedBytes);
            }

            Assert.Equal(0, budget.UsedBytes);
            Assert.Empty(Directory.EnumerateFiles(folder.Path));
        }
    }

    [Claim("A body takes memory only for the bytes that have come, never waits for memory while it waits for its peer, and is the same through memory and file",
        With = [nameof(Gives_the_very_bytes_whether_there_is_room_in_memory_or_not), nameof(A_body_that_fails_gives_everything_back)],
        Red = "`BodyIntake` takes all the room that a body may have before any of it came: the first was red; it leaves out what came before the file was begun: the second; it keeps its room when the body fails: the third")]
    [Fact]
    public async Task Long_bodies_in_pieces_hold_only_bytes_that_came_and_do_not_wait()
    {
        const int Length = 8_000_000;
        using var budget = new ByteBudget(16_000_000);
        var pipes = Enumerable.Range(0, 10).Select(_ => new Pipe(new PipeOptions(pauseWriterThreshold: 0))).ToList();
        var readings = pipes.Select(pipe => RawDocument.ReadAsync(pipe.Reader.AsStream(), budget, Length, BudgetUse.Storing, Token)).ToList();
        foreach (var pipe in pipes)
        {
            await pipe.Writer.WriteAsync(new byte[1_000], Token);
        }

        // Few bytes have come, and few are held.
        Assert.InRange(budget.UsedBytes, 0, pipes.Count * 64 * 1024);
        var piece = new byte[Length / 4];
        for (var pieces = 0; pieces < 4; pieces++)
        {
            foreach (var pipe in pipes)
            {
                await pipe.Writer.WriteAsync(pieces == 0 ? piece.AsMemory(1_000) : piece, Token);
            }

            Assert.InRange(budget.UsedBytes, 0, 16_000_000 / 4);
            Assert.DoesNotContain(readings, reading => reading.IsCompleted);
        }

        foreach (var pipe in pipes)
        {
            await pipe.Writer.CompleteAsync();
        }

        await Task.WhenAll(readings.Select(async reading =>
        {
            using var document = await reading.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, Token);
            Assert.Equal(Length, document!.LengthBytes);
            Assert.InRange(budget.UsedBytes, Length, 16_000_000);
        }));
        Assert.Equal(0, budget.UsedBytes);
    }

    [Claim("Long bodies that stand still take at most half of the memory for arriving bytes: short ones always have the other half",
        Red = "`ByteBudget.TryTake` lets a long body grow while there is any room in the share")]
    [Fact]
    public async Task Long_bodies_leave_half_of_the_share_to_short_ones()
    {
        const int Sent = 3_000_000;
        using var folder = new TestFolder();
        using var budget = new ByteBudget(64_000_000, folder.Path);
        const int Share = 64_000_000 / 4;
        var bodies = Enumerable.Range(0, 20).Select(_ => new StandingBody(Sent)).ToList();
        var readings = bodies.Select(body => RawDocument.ReadAsync(body, budget, 10_000_000, BudgetUse.Storing, Token)).ToList();
        await Task.WhenAll(bodies.Select(body => body.Standing));
        // Some of them are in memory, and not only their first million bytes.
        Assert.InRange(budget.UsedBytes, Sent, Share / 2);
        var begun = Enumerable.Range(0, 7).Select(_ => RawDocument.TryBegin(budget, 64 * 1024)).ToList();
        Assert.All(begun, one => Assert.True(one?.TryGrow(1_000_000)));
        begun.ForEach(one => one?.Dispose());

        bodies.ForEach(body => body.End());
        // All at once: whole documents wait for each other's room.
        await Task.WhenAll(readings.Select(async reading =>
        {
            using var document = await reading;
            Assert.Equal(Sent, document!.LengthBytes);
            Assert.True(document.Bytes.SequenceEqual(bodies[0].Content));
        }));
        Assert.Equal(0, budget.UsedBytes);
    }

    [Fact]
    public async Task A_body_that_fails_gives_everything_back()
    {
        using var folder = new TestFolder();
        using var budget = new ByteBudget(16_000_000, folder.Path);
        foreach (var length in new[] { 10, 100_000, 5_000_000 })
        {
            var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
            var reading = RawDocument.ReadAsync(pipe.Reader.AsStream(), budget, 10_000_000, BudgetUse.Storing, Token);
            await pipe.Writer.WriteAsync(new byte[length], Token);
            await pipe.Writer.CompleteAsync(new IOException("broken off"));
            await Assert.ThrowsAsync<IOException>(() => reading);
            Assert.Equal(0, budget.UsedBytes);
        }
    }

    /// <summary>A body that stands still after so many bytes, until it is ended.</summary>
    private sealed class StandingBody : MemoryStream
    {
        private readonly TaskCompletionSource _standing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal StandingBody(int bytes)
            : base(new byte[bytes])
        {
            new Random(bytes).NextBytes(Content = ToArray());
            Write(Content);
            Position = 0;
        }

        internal byte[] Content { get; }

        internal Task Standing => _standing.Task;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Position == Length)
            {
                _standing.TrySetResult();
                await _ended.Task.WaitAsync(cancellationToken);
            }

            return Read(buffer.Span);
        }

        internal void End() => _ended.TrySetResult();
    }
}
