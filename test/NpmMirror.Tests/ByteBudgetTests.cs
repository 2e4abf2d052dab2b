namespace NpmMirror.Tests;

public sealed class ByteBudgetTests
{
    private static readonly CancellationToken None = TestContext.Current.CancellationToken;

    [Claim("Bytes in flight stay within one budget, and no task waits for itself",
        With = [nameof(Two_that_both_grow_past_the_limit_do_not_wait_for_each_other), nameof(Reads_a_body_to_its_end_and_refuses_one_byte_over_the_limit)],
        Red = "`ByteBudget.Fits` is always true: the first was red; `RawDocument` reads past its limit: the last was red")]
    [Fact]
    public async Task Makes_a_document_wait_until_it_fits()
    {
        using var budget = new ByteBudget(100);
        var first = await budget.ReserveAsync(80, None);
        var second = budget.ReserveAsync(30, None).AsTask();
        Assert.False(second.IsCompleted);
        first.Dispose();
        using var granted = await second;
        Assert.Equal(30, budget.UsedBytes);
    }

    [Fact]
    public async Task Lets_a_document_larger_than_the_budget_in_when_it_is_alone()
    {
        using var budget = new ByteBudget(100);
        using var large = await budget.ReserveAsync(500, None);
        Assert.False(budget.ReserveAsync(1, None).AsTask().IsCompleted);
    }

    [Fact]
    public async Task Serves_waiters_in_order_and_forgets_those_that_left()
    {
        using var budget = new ByteBudget(100);
        var first = await budget.ReserveAsync(100, None);
        using var leaving = new CancellationTokenSource();
        var left = budget.ReserveAsync(100, leaving.Token).AsTask();
        var next = budget.ReserveAsync(10, None).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        Assert.False(next.IsCompleted);
        first.Dispose();
        using var granted = await next;
        Assert.Equal(10, budget.UsedBytes);
    }

    [Fact]
    public async Task Two_that_both_grow_past_the_limit_do_not_wait_for_each_other()
    {
        using var budget = new ByteBudget(100);
        var one = await budget.ReserveAsync(50, None);
        var two = await budget.ReserveAsync(50, None);
        await one.GrowAsync(50, None);
        var growing = two.GrowAsync(50, None).AsTask();
        Assert.False(growing.IsCompleted);
        var beside = await one.ReserveBesideAsync(200, None);
        beside.Dispose();
        one.Dispose();
        await growing;
        two.Dispose();
        Assert.Equal(0, budget.UsedBytes);
    }

    [Claim("Serving waits neither for storing, forwarding nor arriving bodies; small requests pass a large one that waits, but not for ever",
        With = [nameof(Small_ones_pass_a_large_one_that_waits_but_not_for_ever)],
        Red = "`ByteBudget` takes documents that are stored out of the share for serving: the first was red; `ByteBudget.Grant` lets small ones pass without end: the second")]
    [Fact]
    public async Task Serving_waits_neither_for_storing_nor_forwarding_nor_arriving()
    {
        using var budget = new ByteBudget(100);
        using var forwarded = await budget.ReserveAsync(200, BudgetUse.Forwarding, None);
        using var stored = await budget.ReserveAsync(500, BudgetUse.Storing, None);
        var storing = budget.ReserveAsync(1, BudgetUse.Storing, None).AsTask();
        using var served = await budget.ReserveAsync(20, None).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, None);
        Assert.False(storing.IsCompleted);
        Assert.Null(budget.TryReserveArriving(1));
        var forwarding = budget.ReserveAsync(1, BudgetUse.Forwarding, None).AsTask();
        Assert.False(forwarding.IsCompleted);
        forwarded.Dispose();
        (await forwarding).Dispose();
        stored.Dispose();
        var arriving = Enumerable.Range(0, 25).Select(_ => budget.TryReserveArriving(1)).ToList();
        Assert.DoesNotContain(null, arriving);
        Assert.Null(budget.TryReserveArriving(1));
        (await storing).Dispose();
        using var large = await budget.ReserveAsync(50, BudgetUse.Storing, None).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, None);
        arriving.ForEach(one => one?.Dispose());
    }

    [Theory]
    [InlineData(BudgetUse.Serving)]
    [InlineData(BudgetUse.Storing)]
    [InlineData(BudgetUse.Forwarding)]
    public async Task Small_ones_pass_a_large_one_that_waits_but_not_for_ever(Enum kind)
    {
        var use = (BudgetUse)kind;
        using var budget = new ByteBudget(1_000);
        var held = await budget.ReserveAsync(100, use, None);
        var large = budget.ReserveAsync(2_000, use, None).AsTask();
        var passes = 0;
        while (budget.ReserveAsync(1, use, None).AsTask() is { IsCompleted: true } small)
        {
            (await small).Dispose();
            Assert.InRange(++passes, 1, 1_000);
        }

        Assert.InRange(passes, 10, 1_000);
        Assert.False(large.IsCompleted);
        held.Dispose();
        (await large.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, None)).Dispose();
        await Eventually.Async(() => budget.WaitingCount == 0);
    }

    [Fact]
    public async Task Reads_a_body_to_its_end_and_refuses_one_byte_over_the_limit()
    {
        using var budget = new ByteBudget(10_000_000);
        var body = new byte[200_000];
        Random.Shared.NextBytes(body);
        using (var document = await RawDocument.ReadAsync(new MemoryStream(body), budget, 200_000, BudgetUse.Storing, None))
        {
            Assert.True(document!.Bytes.SequenceEqual(body));
        }

        Assert.Null(await RawDocument.ReadAsync(new MemoryStream(body), budget, 199_999, BudgetUse.Storing, None));
        Assert.Equal(0, budget.UsedBytes);
    }
}
