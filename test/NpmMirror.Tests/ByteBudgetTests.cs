namespace NpmMirror.Tests;

public sealed class ByteBudgetTests
{
    private static readonly CancellationToken None = TestContext.Current.CancellationToken;

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

    [Fact]
    public async Task Reads_a_body_to_its_end_and_refuses_one_byte_over_the_limit()
    {
        using var budget = new ByteBudget(10_000_000);
        var body = new byte[200_000];
        Random.Shared.NextBytes(body);
        using (var document = await RawDocument.ReadAsync(new MemoryStream(body), budget, 0, 200_000, None))
        {
            Assert.True(document!.Bytes.SequenceEqual(body));
        }

        Assert.Null(await RawDocument.ReadAsync(new MemoryStream(body), budget, 0, 199_999, None));
        Assert.Equal(0, budget.UsedBytes);
    }
}
