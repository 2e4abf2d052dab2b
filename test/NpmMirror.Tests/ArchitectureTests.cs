using System.Text.RegularExpressions;
using Mono.Cecil;
using Mono.Cecil.Rocks;

namespace NpmMirror.Tests;

/// <summary>
/// The rooms of the library and of the server (their folders) and the arrows between them, by the types that each type refers to: base types, signatures, fields, attributes and
/// the code of methods. docs/architecture.md says which room uses which, and this holds it to that.
/// </summary>
public sealed partial class ArchitectureTests
{
    private const string Library = "NpmMirror";
    private const string Server = "NpmMirror.AspNetCore";

    /// <summary>The root folder. In the library it holds the words that every room may use, in the server the parts that join the rooms.</summary>
    private const string Root = "";

    [Claim("Folders use each other one way, nothing unfinished remains, no registry is named by its address",
        With =
        [
            nameof(Arrows_between_rooms_make_no_circle),
            nameof(The_words_of_the_library_use_no_room),
            nameof(No_room_of_the_server_uses_the_class_that_joins_the_rooms),
            nameof(An_engine_knows_storage_and_how_to_be_added_to_a_mirror),
            nameof(The_search_index_knows_no_engine_and_only_its_contract),
            nameof(No_engine_is_known_to),
            $"{nameof(TidyTests)}.{nameof(TidyTests.No_file_grows_into_a_second_idea)}",
            $"{nameof(TidyTests)}.{nameof(TidyTests.Nothing_unfinished_remains)}",
            $"{nameof(TidyTests)}.{nameof(TidyTests.No_registry_is_named_by_its_address)}",
        ])]
    [Theory]
    [InlineData(Library)]
    [InlineData(Server)]
    public void Each_room_uses_just_the_rooms_that_the_page_says(string assembly)
    {
        var drawn = Drawn(assembly);
        var used = References(assembly).GroupBy(arrow => arrow.From, arrow => arrow.To).ToDictionary(group => group.Key, group => group.ToHashSet());
        Assert.Equal(Folders(assembly).Order(StringComparer.Ordinal), drawn.Keys.Order(StringComparer.Ordinal));
        var wrong = drawn.Where(row => !row.Value.SetEquals(UsedBy(row.Key)))
            .Select(row => $"{row.Key} uses {string.Join(", ", UsedBy(row.Key).Order(StringComparer.Ordinal))}; docs/architecture.md says {string.Join(", ", row.Value.Order(StringComparer.Ordinal))}.");
        Assert.True(!wrong.Any(), string.Join("\n", wrong));

        IEnumerable<string> UsedBy(string room) => used.GetValueOrDefault(room)?.Where(other => other != Root) ?? [];
    }

    [Theory]
    [InlineData(Library)]
    [InlineData(Server)]
    public void Arrows_between_rooms_make_no_circle(string assembly)
    {
        var arrows = References(assembly).Where(arrow => arrow.From != Root && arrow.To != Root).ToHashSet();
        var left = arrows.Select(arrow => arrow.From).ToHashSet();
        while (left.Count > 0)
        {
            var free = left.Where(room => !arrows.Any(arrow => arrow.From == room && left.Contains(arrow.To))).ToList();
            Assert.True(free.Count > 0, $"These use each other in a circle: {string.Join(", ", left)}.");
            left.ExceptWith(free);
        }
    }

    [Fact]
    public void A_reference_is_seen_wherever_it_stands() => Assert.Equal(
        [nameof(Sighting.InArgument), nameof(Sighting.InCatch), nameof(Sighting.InConstraint), nameof(Sighting.InMember)],
        ModuleDefinition.ReadModule(typeof(ArchitectureTests).Assembly.Location).GetAllTypes().Where(type => type.FullName == typeof(Sighting).FullName!.Replace('+', '/'))
            .SelectMany(Referred).Select(type => type.Name).Where(name => name.StartsWith("In", StringComparison.Ordinal) && typeof(Sighting).GetNestedType(name, System.Reflection.BindingFlags.NonPublic) is not null)
            .Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void The_words_of_the_library_use_no_room() => Assert.DoesNotContain(References(Library), arrow => arrow.From == Root);

    [Fact]
    public void No_room_of_the_server_uses_the_class_that_joins_the_rooms() => Assert.DoesNotContain(References(Server), arrow => arrow.To == Root);

    [Theory]
    [InlineData("NpmMirror.MongoDB")]
    [InlineData("NpmMirror.Postgres")]
    [InlineData("NpmMirror.Redis")]
    [InlineData("NpmMirror.S3")]
    [InlineData("NpmMirror.Sqlite")]
    public void An_engine_knows_storage_and_how_to_be_added_to_a_mirror(string engine)
    {
        var rooms = Types(engine).SelectMany(Referred).Where(type => IsOf(type, Library)).Select(type => RoomOf(type, Library)).ToHashSet();
        Assert.Subset(new HashSet<string>(["Storage", "Log", "Options", "Hosting", "Diagnostics", "Packuments", Root]), rooms);
    }

    [Fact]
    public void The_search_index_knows_no_engine_and_only_its_contract()
    {
        var referred = Types("NpmMirror.Search").SelectMany(Referred).ToList();
        Assert.Subset(new HashSet<string>(["Searching", "Storage", "Hosting", Root]), referred.Where(type => IsOf(type, Library)).Select(type => RoomOf(type, Library)).ToHashSet());
        Assert.DoesNotContain(referred, type => type.Scope.Name is "NpmMirror.MongoDB" or "NpmMirror.Postgres" or "NpmMirror.Redis" or "NpmMirror.S3" or "NpmMirror.Sqlite");
    }

    [Theory]
    [InlineData(Library)]
    [InlineData(Server)]
    public void No_engine_is_known_to(string assembly) =>
        Assert.DoesNotContain(Types(assembly).SelectMany(Referred), type => type.Scope.Name is "NpmMirror.MongoDB" or "NpmMirror.Postgres" or "NpmMirror.Redis" or "NpmMirror.Page" or "NpmMirror.S3" or "NpmMirror.Search" or "NpmMirror.Sqlite" or "npm-mirror" or "NpmMirror.Testing");

    /// <summary>The tables of rooms: <c>| `Room/` | what it is | rooms it uses |</c>, and <c>`AspNetCore/Room/`</c> for the server's.</summary>
    private static Dictionary<string, HashSet<string>> Drawn(string assembly) => File.ReadLines(Path.Combine(TestTools.Root, "docs/architecture.md")).Select(line => Row().Match(line))
        .Where(match => match.Success && match.Groups["assembly"].Success == (assembly == Server))
        .ToDictionary(match => match.Groups["room"].Value, match => match.Groups["uses"].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(name => name is not "–").ToHashSet());

    private static IEnumerable<string> Folders(string assembly) => Directory.EnumerateDirectories(Path.Combine(TestTools.Root, "src", assembly)).Select(folder => Path.GetFileName(folder)!).Where(name => name is not ("obj" or "bin"));

    private static IEnumerable<(string From, string To)> References(string assembly) =>
        from type in Types(assembly)
        let room = RoomOf(type, assembly)
        from other in Referred(type)
        where IsOf(other, assembly)
        let used = RoomOf(other, assembly)
        where used != room && !(assembly == Library && used == Root)
        select (room, used);

    private static IEnumerable<TypeDefinition> Types(string assembly) =>
        ModuleDefinition.ReadModule(Path.Combine(AppContext.BaseDirectory, assembly + ".dll")).GetAllTypes().Where(type => type.FullName.StartsWith(Library, StringComparison.Ordinal) || type.DeclaringType is not null);

    /// <summary>Code that the compiler makes for itself has no namespace.</summary>
    private static bool IsOf(TypeReference type, string assembly) => Outermost(type).Namespace.Length > 0 && type.Scope.Name is var scope && (scope == assembly || scope == assembly + ".dll");

    private static string RoomOf(TypeReference type, string assembly) => Outermost(type).Namespace is var place && place.StartsWith(assembly + ".", StringComparison.Ordinal) ? place[(assembly.Length + 1)..].Split('.')[0] : Root;

    private static TypeReference Outermost(TypeReference type) => type.DeclaringType is { } outer ? Outermost(outer) : type;

    private static IEnumerable<TypeReference> Referred(TypeDefinition type)
    {
        IEnumerable<TypeReference?> direct =
        [
            type.BaseType, .. type.Interfaces.Select(one => one.InterfaceType), .. type.Fields.Select(field => field.FieldType), .. type.Properties.Select(property => property.PropertyType),
            .. Annotated(type), .. type.Fields.SelectMany(Annotated), .. type.Properties.SelectMany(Annotated), .. type.Events.SelectMany(Annotated),
            .. type.GenericParameters.SelectMany(Constrained), .. type.Methods.SelectMany(Referred),
        ];
        return direct.OfType<TypeReference>().SelectMany(Whole);
    }

    private static IEnumerable<TypeReference> Referred(MethodDefinition method)
    {
        IEnumerable<TypeReference> signature =
        [
            method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType), .. Annotated(method), .. Annotated(method.MethodReturnType),
            .. method.Parameters.SelectMany(Annotated), .. method.GenericParameters.SelectMany(Constrained),
        ];
        if (!method.HasBody)
        {
            return signature;
        }

        signature = signature.Concat(method.Body.ExceptionHandlers.Select(handler => handler.CatchType).OfType<TypeReference>());
        return signature.Concat(method.Body.Variables.Select(variable => variable.VariableType)).Concat(method.Body.Instructions.SelectMany(instruction => instruction.Operand switch
        {
            TypeReference type => (IEnumerable<TypeReference>)[type],
            MethodReference called => [called.DeclaringType, called.ReturnType, .. called.Parameters.Select(parameter => parameter.ParameterType), .. (called as GenericInstanceMethod)?.GenericArguments ?? []],
            FieldReference field => [field.DeclaringType, field.FieldType],
            _ => [],
        }));
    }

    /// <summary>Attributes, and the types that their arguments name. Constants leave no trace.</summary>
    private static IEnumerable<TypeReference> Annotated(ICustomAttributeProvider annotated) => annotated.CustomAttributes.SelectMany(attribute =>
        attribute.ConstructorArguments.Concat(attribute.Fields.Concat(attribute.Properties).Select(named => named.Argument)).SelectMany(Named).Append(attribute.AttributeType));

    private static IEnumerable<TypeReference> Named(CustomAttributeArgument argument) => argument.Value switch
    {
        TypeReference type => [type],
        CustomAttributeArgument inner => Named(inner),
        CustomAttributeArgument[] many => many.SelectMany(Named),
        _ => [argument.Type],
    };

    private static IEnumerable<TypeReference> Constrained(GenericParameter parameter) => parameter.Constraints.Select(constraint => constraint.ConstraintType);

    /// <summary>The type, and those that it is made of.</summary>
    private static IEnumerable<TypeReference> Whole(TypeReference type) => type switch
    {
        GenericInstanceType generic => generic.GenericArguments.SelectMany(Whole).Append(generic.ElementType),
        TypeSpecification made => Whole(made.ElementType),
        GenericParameter => [],
        _ => [type],
    };

    [GeneratedRegex(@"^\| `(?<assembly>AspNetCore/)?(?<room>\w+)/` \| .* \| (?<uses>[^|]*) \|$")]
    private static partial Regex Row();

    /// <summary>Refers to each type in one way that is no signature and no code.</summary>
    [System.Diagnostics.DebuggerTypeProxy(typeof(InArgument))]
    private static class Sighting
    {
        [System.ComponentModel.TypeConverter(typeof(InMember))]
        public static string? Marked { get; set; }

        public static void Catch<T>()
            where T : InConstraint
        {
            try
            {
                Marked = typeof(T).Name;
            }
            catch (InCatch)
            {
                Marked = null;
            }
        }

        internal sealed class InArgument;

        internal sealed class InMember;

        internal abstract class InConstraint;

        internal sealed class InCatch : Exception;
    }
}
