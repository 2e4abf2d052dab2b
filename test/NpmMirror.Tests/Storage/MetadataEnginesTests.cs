using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

public sealed class MetadataEnginesTests
{
    private readonly MetadataEngines _engines = new();

    [Theory]
    [InlineData("Memory")]
    [InlineData("memory:")]
    public void Makes_the_store_that_is_named(string engine) => Assert.IsType<MemoryStore>(Create(new StoreOptions { Engine = engine }));

    [Fact]
    public void Says_which_engines_there_are() => AssertFault(new StoreOptions { Engine = "Oracle" }, "Oracle", "Memory");

    [Fact]
    public void Refuses_engine_and_module_together() => AssertFault(new StoreOptions { Engine = "Memory", Module = "x.dll" }, "store.engine and store.module");

    [Fact]
    public void Refuses_an_option_that_the_engine_does_not_know()
    {
        var options = new StoreOptions { Engine = "Memory" };
        options.Options["sise"] = "3";
        AssertFault(options, "store.options.sise");
    }

    [Fact]
    public void Says_that_a_module_is_not_there() => AssertFault(new StoreOptions { Module = "/nowhere/engine.dll" }, "/nowhere/engine.dll", "no such file");

    [Fact]
    public void Says_that_a_module_has_no_engine() => AssertFault(new StoreOptions { Module = typeof(MemoryStore).Assembly.Location }, nameof(IMetadataEngine));

    [Fact]
    public void Says_that_a_module_is_no_assembly()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "not an assembly");
            AssertFault(new StoreOptions { Module = file }, "cannot be loaded");
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("Shop")]
    [InlineData("shops://host/db")]
    [InlineData("STORE+srv://host/db")]
    public void Knows_an_engine_by_its_further_names(string location)
    {
        var engines = new MetadataEngines(new ShopEngine());
        Assert.IsType<MemoryStore>(engines.Create(new StoreOptions { Engine = location }, "/nowhere", TimeProvider.System, NullLoggerFactory.Instance));
        Assert.DoesNotContain("shops", engines.Names);
    }

    private IMetadataStore Create(StoreOptions options) => _engines.Create(options, "/nowhere", TimeProvider.System, NullLoggerFactory.Instance);

    private void AssertFault(StoreOptions options, params IReadOnlyList<string> parts)
    {
        var e = Assert.Throws<MirrorException>(() => Create(options));
        Assert.Equal(MirrorFault.Configuration, e.Fault);
        Assert.All(parts, part => Assert.Contains(part, e.Message, StringComparison.Ordinal));
    }

    private sealed class ShopEngine : IMetadataEngine
    {
        public string Name => "Shop";

        public IReadOnlyList<string> Aliases => ["shops", "store+srv"];

        public IMetadataStore Create(StoreSettings settings) => new MemoryStore(settings.TimeProvider);
    }
}
