using System.Text.RegularExpressions;
using Mono.Cecil;
using Mono.Cecil.Rocks;

namespace NpmMirror.Tests;

/// <summary>
/// The rooms of the library (its folders) and the arrows between them, by the types that each type refers to: base types, signatures, fields, attributes and
/// the code of methods. docs/architecture.md says which room uses which, and this holds it to that.
/// </summary>
public sealed partial class ArchitectureTests
{
    private const string Library = "NpmMirror";

    /// <summary>The words that every room may use.</summary>
    private const string Words = "";

    [Fact]
    public void Each_room_uses_just_the_rooms_that_the_page_says()
    {
        var drawn = Drawn();
        var used = References(Library).GroupBy(arrow => arrow.From, arrow => arrow.To).ToDictionary(group => group.Key, group => group.ToHashSet());
        Assert.Equal(Folders().Order(StringComparer.Ordinal), drawn.Keys.Order(StringComparer.Ordinal));
        var wrong = drawn.Where(row => !row.Value.SetEquals(used.GetValueOrDefault(row.Key) ?? []))
            .Select(row => $"{row.Key} uses {string.Join(", ", (used.GetValueOrDefault(row.Key) ?? []).Order(StringComparer.Ordinal))}; docs/architecture.md says {string.Join(", ", row.Value.Order(StringComparer.Ordinal))}.");
        Assert.True(!wrong.Any(), string.Join("\n", wrong));
    }

    [Fact]
    public void Arrows_between_rooms_make_no_circle_and_words_use_no_room()
    {
        var arrows = References(Library).ToHashSet();
        Assert.DoesNotContain(arrows, arrow => arrow.From == Words);
        var left = arrows.Select(arrow => arrow.From).ToHashSet();
        while (left.Count > 0)
        {
            var free = left.Where(room => !arrows.Any(arrow => arrow.From == room && left.Contains(arrow.To))).ToList();
            Assert.True(free.Count > 0, $"These use each other in a circle: {string.Join(", ", left)}.");
            left.ExceptWith(free);
        }
    }

    [Fact]
    public void An_engine_knows_storage_and_how_to_be_added_to_a_mirror()
    {
        var rooms = Types("NpmMirror.Sqlite").SelectMany(Referred).Where(IsOfLibrary).Select(RoomOf).ToHashSet();
        Assert.Subset(new HashSet<string>(["Storage", "Log", "Options", "Hosting", "Diagnostics", Words]), rooms);
    }

    [Theory]
    [InlineData(Library)]
    [InlineData("NpmMirror.AspNetCore")]
    public void No_engine_is_known_to(string assembly) =>
        Assert.DoesNotContain(Types(assembly).SelectMany(Referred), type => type.Scope.Name is "NpmMirror.Sqlite" or "npm-mirror" or "NpmMirror.Testing");

    /// <summary>The table of rooms: <c>| `Room/` | what it is | rooms it uses |</c>.</summary>
    private static Dictionary<string, HashSet<string>> Drawn() => File.ReadLines(Path.Combine(TestTools.Root, "docs/architecture.md")).Select(line => Row().Match(line)).Where(match => match.Success)
        .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(name => name is not "–").ToHashSet());

    private static IEnumerable<string> Folders() => Directory.EnumerateDirectories(Path.Combine(TestTools.Root, "src", Library)).Select(folder => Path.GetFileName(folder)!).Where(name => name is not ("obj" or "bin"));

    private static IEnumerable<(string From, string To)> References(string assembly) =>
        from type in Types(assembly)
        let room = RoomOf(type)
        from other in Referred(type)
        where IsOfLibrary(other)
        let used = RoomOf(other)
        where used != room && used != Words
        select (room, used);

    private static IEnumerable<TypeDefinition> Types(string assembly) =>
        ModuleDefinition.ReadModule(Path.Combine(AppContext.BaseDirectory, assembly + ".dll")).GetAllTypes().Where(type => type.FullName.StartsWith(Library, StringComparison.Ordinal) || type.DeclaringType is not null);

    private static bool IsOfLibrary(TypeReference type) => type.Scope.Name is Library or Library + ".dll";

    private static string RoomOf(TypeReference type)
    {
        while (type.DeclaringType is { } outer)
        {
            type = outer;
        }

        return type.Namespace.StartsWith(Library + ".", StringComparison.Ordinal) ? type.Namespace.Split('.')[1] : Words;
    }

    private static IEnumerable<TypeReference> Referred(TypeDefinition type)
    {
        IEnumerable<TypeReference?> direct =
        [
            type.BaseType, .. type.Interfaces.Select(one => one.InterfaceType), .. type.Fields.Select(field => field.FieldType), .. type.Properties.Select(property => property.PropertyType),
            .. type.CustomAttributes.Select(attribute => attribute.AttributeType), .. type.Methods.SelectMany(Referred),
        ];
        return direct.OfType<TypeReference>().SelectMany(Whole);
    }

    private static IEnumerable<TypeReference> Referred(MethodDefinition method)
    {
        IEnumerable<TypeReference> signature = [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType)];
        if (!method.HasBody)
        {
            return signature;
        }

        return signature.Concat(method.Body.Variables.Select(variable => variable.VariableType)).Concat(method.Body.Instructions.SelectMany(instruction => instruction.Operand switch
        {
            TypeReference type => (IEnumerable<TypeReference>)[type],
            MethodReference called => [called.DeclaringType, called.ReturnType, .. called.Parameters.Select(parameter => parameter.ParameterType), .. (called as GenericInstanceMethod)?.GenericArguments ?? []],
            FieldReference field => [field.DeclaringType, field.FieldType],
            _ => [],
        }));
    }

    /// <summary>The type, and those that it is made of.</summary>
    private static IEnumerable<TypeReference> Whole(TypeReference type) => type switch
    {
        GenericInstanceType generic => generic.GenericArguments.SelectMany(Whole).Append(generic.ElementType),
        TypeSpecification made => Whole(made.ElementType),
        GenericParameter => [],
        _ => [type],
    };

    [GeneratedRegex(@"^\| `(\w+)/` \| .* \| ([^|]*) \|$")]
    private static partial Regex Row();
}
