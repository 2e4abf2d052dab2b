namespace NpmMirror.Options;

/// <summary>One leaf of the tree of options: its word, its type, its bounds and its description.</summary>
internal sealed partial class OptionDefinition
{
    private readonly Func<MirrorOptions, object?> _get;

    private OptionDefinition(string name, string group, string description, Type type, Func<MirrorOptions, object?> get) =>
        (Name, Group, Description, Type, _get) = (name, group, description, type, get);

    /// <summary>The dotted name: <c>removed.securityHolder</c>.</summary>
    public string Name { get; }

    /// <summary>The heading that help lists it under.</summary>
    public string Group { get; }

    /// <summary>One sentence for users.</summary>
    public string Description { get; }

    /// <summary>The value's type, without its <c>?</c>.</summary>
    public Type Type { get; }

    /// <summary>The values of an enumeration; none of another type.</summary>
    public IReadOnlyList<Enum> Words { get; private init; } = [];

    /// <summary>Whether the value must never be shown.</summary>
    public bool IsSecret { get; private init; }

    /// <summary>Whether there may be many values.</summary>
    public bool IsList => Type == typeof(IList<string>);

    /// <summary>Whether any name may stand below it.</summary>
    public bool IsFree => Type == typeof(IDictionary<string, string>);

    /// <summary>Whether the value counts bytes, so that it may be written as <c>256MB</c>.</summary>
    public bool IsSize => Name.EndsWith("Bytes", StringComparison.Ordinal);

    /// <summary>Whether the value must not be empty.</summary>
    public bool IsRequired { get; private init; }

    /// <summary>The bounds, if there are any, of the value's type.</summary>
    public (IComparable Least, IComparable Most)? Range { get; private init; }

    private Action<MirrorOptions, object>? Setter { get; init; }

    /// <summary>The value in the given tree.</summary>
    public object? Get(MirrorOptions options) => _get(options);

    /// <summary>Sets the value; not for lists and free ones, which are filled.</summary>
    public void Set(MirrorOptions options, object value) => Setter!(options, value);
}
