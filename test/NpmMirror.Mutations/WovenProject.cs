using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace NpmMirror.Mutations;

/// <summary>
/// One project of the product with switches in the chosen files. It is compiled in memory, and code that does not compile is taken out, until the rest does:
/// so one build makes every change.
/// </summary>
internal sealed class WovenProject
{
    private const int RoundsMax = 12;

    private readonly CSharpCompilation _original;
    private readonly Dictionary<string, SyntaxTree> _trees = [];
    private readonly Dictionary<string, SyntaxTree> _woven = [];
    private readonly HashSet<(string File, string Kind, string Original, string Changed, int Line)> _dropped = [];
    private readonly string _root;

    internal WovenProject(string root, string project, string generated, IReadOnlyList<MetadataReference> references, string switches)
    {
        _root = root;
        var folder = Path.Combine(root, "src", project);
        var options = new CSharpParseOptions(LanguageVersion.Preview);
        foreach (var file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories).Concat(Directory.EnumerateFiles(generated, "*.GlobalUsings.g.cs")))
        {
            _trees[file] = CSharpSyntaxTree.ParseText(File.ReadAllText(file), options, file);
        }

        _trees["Mutations.cs"] = CSharpSyntaxTree.ParseText(switches, options, "Mutations.cs");
        var name = project == "NpmMirror.Cli" ? "npm-mirror" : project;
        var own = references.Where(reference => Path.GetFileNameWithoutExtension(reference.Display) != name);
        _original = CSharpCompilation.Create(name, _trees.Values, own, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));
    }

    /// <summary>Weaves the chosen files.</summary>
    /// <returns>The changes, numbered from <paramref name="firstId"/>.</returns>
    internal List<Mutation> Weave(Func<string, bool> isChosen, int firstId)
    {
        var known = Errors(_original).GroupBy(Signature).ToDictionary(group => group.Key, group => group.Count());
        for (var round = 0; ; round++)
        {
            var made = WeaveOnce(isChosen, firstId);
            var errors = Errors(_woven.Aggregate(_original, (compilation, tree) => compilation.ReplaceSyntaxTree(_trees[tree.Key], tree.Value)))
                .GroupBy(Signature).Where(group => group.Count() > known.GetValueOrDefault(group.Key)).SelectMany(group => group).ToList();
            if (errors.Count == 0)
            {
                return made;
            }

            if (round == RoundsMax)
            {
                throw new InvalidOperationException($"After {RoundsMax} rounds there still are errors: {errors[0]}");
            }

            var byId = made.ToDictionary(mutation => mutation.Id);
            foreach (var id in errors.SelectMany(error => ToBlame(error, round)).Distinct())
            {
                var mutation = byId[id];
                _dropped.Add((mutation.File, mutation.Kind, mutation.Original, mutation.Changed, mutation.Line));
            }
        }
    }

    /// <summary>Writes the woven files in the place of the others.</summary>
    internal void Write()
    {
        foreach (var (file, tree) in _woven)
        {
            File.WriteAllText(file, tree.GetRoot().ToFullString());
        }
    }

    private static IEnumerable<Diagnostic> Errors(CSharpCompilation compilation) => compilation.GetDiagnostics().Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);

    // Generators do not run here, so some errors are there before.
    private static string Signature(Diagnostic error) => $"{error.Id} {error.Location.SourceTree?.FilePath} {error.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}";

    private static IEnumerable<int> IdsOf(IEnumerable<SyntaxNode> nodes) =>
        nodes.SelectMany(node => node.GetAnnotations(SwitchRewriter.Mark)).Select(annotation => int.Parse(annotation.Data!, System.Globalization.CultureInfo.InvariantCulture));

    private static List<int> ToBlame(Diagnostic error, int round)
    {
        var node = error.Location.SourceTree!.GetRoot().FindNode(error.Location.SourceSpan);
        var around = IdsOf(node.AncestorsAndSelf().Take(6 + (4 * round)));
        var inside = IdsOf(node.DescendantNodesAndSelf());
        var near = around.Take(1).Concat(inside).ToList();
        if (near.Count > 0 && round < 3)
        {
            return near;
        }

        // A variable that may have no value: something earlier in the member is to blame, and all of it goes.
        var member = node.FirstAncestorOrSelf<MemberDeclarationSyntax>(member => member is BaseMethodDeclarationSyntax or PropertyDeclarationSyntax or FieldDeclarationSyntax) ?? node;
        var statement = node.FirstAncestorOrSelf<StatementSyntax>(statement => statement.Parent is BlockSyntax { Parent: BaseMethodDeclarationSyntax });
        var wide = IdsOf((round < 5 && statement is not null ? statement : (SyntaxNode)member).DescendantNodesAndSelf()).ToList();
        return wide.Count > 0 ? wide : [.. IdsOf(member.DescendantNodesAndSelf())];
    }

    private List<Mutation> WeaveOnce(Func<string, bool> isChosen, int firstId)
    {
        var made = new List<Mutation>();
        var id = firstId;
        foreach (var (file, tree) in _trees)
        {
            var relative = Path.GetRelativePath(_root, file).Replace('\\', '/');
            if (file != "Mutations.cs" && isChosen(relative))
            {
                var rewriter = new SwitchRewriter(_original.GetSemanticModel(tree), relative, () => id++, (kind, original, changed, line) => _dropped.Contains((relative, kind, original, changed, line)));
                var root = rewriter.Visit(tree.GetRoot());
                _woven[file] = tree.WithRootAndOptions(root, tree.Options);
                made.AddRange(rewriter.Made);
            }
        }

        return made;
    }
}
