namespace NpmMirror.Tests;

public sealed class BoundedCacheTests
{
    [Fact]
    public void Remembers_what_was_used_last_and_never_more_than_twice_that()
    {
        var cache = new BoundedCache<int, string>(10);
        for (var i = 0; i < 1_000; i++)
        {
            cache.Set(i, $"{i}");
            Assert.True(cache.TryGet(0, out _), "What is used all the time stays.");
        }

        Assert.InRange(Enumerable.Range(0, 1_000).Count(key => cache.TryGet(key, out _)), 10, 20);
    }

    [Fact]
    public void Forgets_what_it_is_told_to_in_either_generation()
    {
        var cache = new BoundedCache<int, string>(2);
        for (var i = 0; i < 4; i++)
        {
            cache.Set(i, $"{i}");
        }

        for (var i = 0; i < 4; i++)
        {
            cache.Remove(i);
            Assert.False(cache.TryGet(i, out _));
        }
    }

    [Fact]
    public void The_newest_value_of_a_key_counts()
    {
        var cache = new BoundedCache<int, string>(1);
        cache.Set(1, "old");
        cache.Set(2, "other");
        cache.Set(1, "new");
        Assert.True(cache.TryGet(1, out var value));
        Assert.Equal("new", value);
    }
}
