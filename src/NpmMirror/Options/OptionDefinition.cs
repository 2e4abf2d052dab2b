using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace NpmMirror.Options;

/// <summary>One leaf of the tree of options: its word, its type and its description in <see cref="MirrorOptions"/>.</summary>
internal sealed class OptionDefinition
{
    private readonly PropertyInfo[] _path;

    private OptionDefinition(string name, PropertyInfo[] path)
    {
        Name = name;
        _path = path;
    }

    /// <summary>All options, in the order in which they are declared.</summary>
    public static IReadOnlyList<OptionDefinition> All { get; } = [.. Walk(typeof(MirrorOptions), "", [])];

    /// <summary>The dotted name: <c>removed.securityHolder</c>.</summary>
    public string Name { get; }

    /// <summary>The property that holds the value.</summary>
    public PropertyInfo Property => _path[^1];

    /// <summary>The value's type, without its <c>?</c>.</summary>
    public Type Type => Nullable.GetUnderlyingType(Property.PropertyType) ?? Property.PropertyType;

    /// <summary>One sentence for users.</summary>
    public string Description => Property.GetCustomAttribute<DescriptionAttribute>()?.Description ?? "";

    /// <summary>The heading that help lists it under; that of the root of its branch.</summary>
    public string Group => _path[0].GetCustomAttribute<CategoryAttribute>()?.Category ?? "";

    /// <summary>Whether the value must never be shown.</summary>
    public bool IsSecret => Property.GetCustomAttribute<DataTypeAttribute>()?.DataType == DataType.Password;

    /// <summary>Whether there may be many values.</summary>
    public bool IsList => Property.PropertyType == typeof(IList<string>);

    /// <summary>Whether any name may stand below it.</summary>
    public bool IsFree => Property.PropertyType == typeof(IDictionary<string, string>);

    /// <summary>Whether the value counts bytes, so that it may be written as <c>256MB</c>.</summary>
    public bool IsSize => Property.Name.EndsWith("Bytes", StringComparison.Ordinal);

    /// <summary>Whether the value must not be empty.</summary>
    public bool IsRequired => Property.GetCustomAttribute<RequiredAttribute>() is not null;

    /// <summary>The bounds, if there are any.</summary>
    public (IComparable Least, IComparable Most)? Range
    {
        get
        {
            if (Property.GetCustomAttribute<RangeAttribute>() is not { } range)
            {
                return null;
            }

            // The attribute converts its texts (time spans) at its first use.
            range.IsValid(null);
            var least = range.Minimum as IComparable ?? TimeSpan.Zero;
            return least is string
                ? (TimeSpan.Parse((string)range.Minimum, null), TimeSpan.Parse((string)range.Maximum, null))
                : (least, (IComparable)range.Maximum);
        }
    }

    /// <summary>The value in the given tree.</summary>
    public object? Get(MirrorOptions options) => Property.GetValue(Owner(options));

    /// <summary>Sets the value; not for lists and free ones, which are filled.</summary>
    public void Set(MirrorOptions options, object? value) => Property.SetValue(Owner(options), value);

    private object Owner(MirrorOptions options) => _path[..^1].Aggregate((object)options, (owner, property) => property.GetValue(owner)!);

    private static IEnumerable<OptionDefinition> Walk(Type type, string prefix, PropertyInfo[] path) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).SelectMany(property =>
        {
            var name = prefix + (property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? JsonNamingPolicy.CamelCase.ConvertName(property.Name));
            PropertyInfo[] here = [.. path, property];
            return property.PropertyType.Namespace == typeof(MirrorOptions).Namespace && property.PropertyType.IsClass
                ? Walk(property.PropertyType, name + ".", here)
                : [new OptionDefinition(name, here)];
        });
}
