using System.Reflection;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using NpmMirror.Options;

namespace NpmMirror.Tests.Options;

/// <summary>The table of options against the properties that it stands for.</summary>
public sealed class OptionDefinitionTests
{
    /// <summary>Each leaf of the tree: its word, and how reflection reads it.</summary>
    private static readonly IReadOnlyList<(string Word, Func<MirrorOptions, object?> Read)> Properties = [.. Walk(typeof(MirrorOptions), "", options => options)];

    public static TheoryData<string> Names => [.. OptionDefinition.All.Select(option => option.Name)];

    [Claim("Every property of the options has its row in the table, which reads and sets that property and no other",
        With = [nameof(A_row_reads_and_sets_its_property_and_no_other)])]
    [Fact]
    public void Every_property_has_its_row() => Assert.Equal(Properties.Select(property => property.Word), OptionDefinition.All.Select(option => option.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void A_row_reads_and_sets_its_property_and_no_other(string name)
    {
        var option = OptionDefinition.All.Single(option => option.Name == name);
        var read = Properties.Single(property => property.Word == name).Read;
        var (options, untouched) = (new MirrorOptions(), new MirrorOptions());
        if (option.IsList || option.IsFree)
        {
            Assert.Same(read(options), option.Get(options));
            return;
        }

        object value = option.Type switch
        {
            var type when type == typeof(string) => "https://other.example.org:4990/npm",
            var type when type == typeof(bool) => !(bool)option.Get(options)!,
            var type when type == typeof(int) => 77,
            var type when type == typeof(long) => 77L,
            var type when type == typeof(TimeSpan) => TimeSpan.FromMinutes(77),
            _ => option.Words.First(word => !word.Equals(option.Get(options))),
        };
        option.Set(options, value);
        Assert.Equal(value, option.Get(options));
        Assert.Equal(value, read(options));
        Assert.All(Properties.Where(property => property.Word != name), property => Assert.Equal(property.Read(untouched), property.Read(options)));
    }

    private static IEnumerable<(string Word, Func<MirrorOptions, object?> Read)> Walk(Type type, string prefix, Func<MirrorOptions, object?> owner) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).SelectMany(property =>
        {
            var word = prefix + (property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? JsonNamingPolicy.CamelCase.ConvertName(property.Name));
            object? Read(MirrorOptions options) => property.GetValue(owner(options));
            return property.PropertyType.Namespace == typeof(MirrorOptions).Namespace && property.PropertyType.IsClass ? Walk(property.PropertyType, word + ".", Read) : [(word, Read)];
        });
}
