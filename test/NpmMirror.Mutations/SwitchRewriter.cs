using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using static Microsoft.CodeAnalysis.CSharp.SyntaxFactory;

namespace NpmMirror.Mutations;

/// <summary>
/// Puts switches around the changeable code of a file. The changed side is made of the original code, so that switches do not multiply; if an
/// expression declares variables it stands once only, and is forced to be true or false.
/// </summary>
internal sealed class SwitchRewriter(SemanticModel model, string file, Func<int> nextId, Func<string, string, string, int, bool> isDropped) : CSharpSyntaxRewriter
{
    /// <summary>Marks the code inside a switch, with its number.</summary>
    internal const string Mark = "mutation";

    private const int TextMax = 160;

    internal List<Mutation> Made { get; } = [];

    // Constants, and code that is not the product's behaviour.
    public override SyntaxNode? VisitAttributeList(AttributeListSyntax node) => node;

    public override SyntaxNode? VisitConstantPattern(ConstantPatternSyntax node) => node;

    public override SyntaxNode? VisitRelationalPattern(RelationalPatternSyntax node) => node;

    public override SyntaxNode? VisitCaseSwitchLabel(CaseSwitchLabelSyntax node) => node;

    public override SyntaxNode? VisitEnumMemberDeclaration(EnumMemberDeclarationSyntax node) => node;

    public override SyntaxNode? VisitParameter(ParameterSyntax node) => node;

    public override SyntaxNode? VisitFieldDeclaration(FieldDeclarationSyntax node) => node.Modifiers.Any(SyntaxKind.ConstKeyword) ? node : base.VisitFieldDeclaration(node);

    public override SyntaxNode? VisitLocalDeclarationStatement(LocalDeclarationStatementSyntax node) => node.IsConst ? node : base.VisitLocalDeclarationStatement(node);

    public override SyntaxNode? VisitThrowStatement(ThrowStatementSyntax node) => node;

    public override SyntaxNode? VisitThrowExpression(ThrowExpressionSyntax node) => node;

    public override SyntaxNode? VisitInterpolatedStringExpression(InterpolatedStringExpressionSyntax node) => node;

    public override SyntaxNode? VisitInvocationExpression(InvocationExpressionSyntax node)
    {
        var name = NameOf(node);
        if (name == "nameof" || IsTelling(name))
        {
            return node;
        }

        var visited = (InvocationExpressionSyntax)base.VisitInvocationExpression(node)!;
        return (name, node.Expression) switch
        {
            ("Min", MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.Text: "Math" } } call) => Either("other call", node, visited, node.WithExpression(call.WithName(IdentifierName("Max")))),
            ("Max", MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.Text: "Math" } } call) => Either("other call", node, visited, node.WithExpression(call.WithName(IdentifierName("Min")))),
            ("Any", MemberAccessExpressionSyntax call) when node.ArgumentList.Arguments.Count == 1 => Either("other call", node, visited, node.WithExpression(call.WithName(IdentifierName("All")))),
            ("All", MemberAccessExpressionSyntax call) => Either("other call", node, visited, node.WithExpression(call.WithName(IdentifierName("Any")))),
            _ => visited,
        };
    }

    public override SyntaxNode? VisitBinaryExpression(BinaryExpressionSyntax node)
    {
        var visited = (BinaryExpressionSyntax)base.VisitBinaryExpression(node)!;
        switch (node.Kind())
        {
            case SyntaxKind.LogicalAndExpression:
                visited = visited.WithLeft(Force("left out", node.Left, visited.Left, to: true)).WithRight(Force("left out", node.Right, visited.Right, to: true));
                return visited;
            case SyntaxKind.LogicalOrExpression:
                return visited.WithLeft(Force("left out", node.Left, visited.Left, to: false)).WithRight(Force("left out", node.Right, visited.Right, to: false));
            case SyntaxKind.LessThanExpression:
                return Either("bound", node, visited, Other(node, SyntaxKind.LessThanOrEqualExpression, SyntaxKind.LessThanEqualsToken));
            case SyntaxKind.LessThanOrEqualExpression:
                return Either("bound", node, visited, Other(node, SyntaxKind.LessThanExpression, SyntaxKind.LessThanToken));
            case SyntaxKind.GreaterThanExpression:
                return Either("bound", node, visited, Other(node, SyntaxKind.GreaterThanOrEqualExpression, SyntaxKind.GreaterThanEqualsToken));
            case SyntaxKind.GreaterThanOrEqualExpression:
                return Either("bound", node, visited, Other(node, SyntaxKind.GreaterThanExpression, SyntaxKind.GreaterThanToken));
            case SyntaxKind.AddExpression when !IsText(node):
                return Either("arithmetic", node, visited, Other(node, SyntaxKind.SubtractExpression, SyntaxKind.MinusToken));
            case SyntaxKind.SubtractExpression:
                return Either("arithmetic", node, visited, Other(node, SyntaxKind.AddExpression, SyntaxKind.PlusToken));
            case SyntaxKind.MultiplyExpression:
                return Either("arithmetic", node, visited, Other(node, SyntaxKind.DivideExpression, SyntaxKind.SlashToken));
            case SyntaxKind.CoalesceExpression when node.Right is not ThrowExpressionSyntax:
                return Either("coalesce", node, visited, node.Right);
            default:
                return visited;
        }
    }

    public override SyntaxNode? VisitIfStatement(IfStatementSyntax node)
    {
        var visited = (IfStatementSyntax)base.VisitIfStatement(node)!;
        return visited.WithCondition(Force("condition", node.Condition, Force("condition", node.Condition, visited.Condition, to: true), to: false));
    }

    public override SyntaxNode? VisitWhileStatement(WhileStatementSyntax node)
    {
        var visited = (WhileStatementSyntax)base.VisitWhileStatement(node)!;
        return node.Condition is LiteralExpressionSyntax ? visited : visited.WithCondition(Force("condition", node.Condition, visited.Condition, to: false));
    }

    public override SyntaxNode? VisitConditionalExpression(ConditionalExpressionSyntax node)
    {
        var visited = (ConditionalExpressionSyntax)base.VisitConditionalExpression(node)!;
        return visited.WithCondition(Force("condition", node.Condition, Force("condition", node.Condition, visited.Condition, to: true), to: false));
    }

    public override SyntaxNode? VisitCatchFilterClause(CatchFilterClauseSyntax node)
    {
        var visited = (CatchFilterClauseSyntax)base.VisitCatchFilterClause(node)!;
        return visited.WithFilterExpression(Force("filter", node.FilterExpression, visited.FilterExpression, to: false));
    }

    public override SyntaxNode? VisitWhenClause(WhenClauseSyntax node)
    {
        var visited = (WhenClauseSyntax)base.VisitWhenClause(node)!;
        return visited.WithCondition(Force("when", node.Condition, Force("when", node.Condition, visited.Condition, to: true), to: false));
    }

    public override SyntaxNode? VisitSwitchExpression(SwitchExpressionSyntax node)
    {
        var visited = (SwitchExpressionSyntax)base.VisitSwitchExpression(node)!;
        var arms = visited.Arms.ToList();
        for (var i = 0; i + 1 < node.Arms.Count; i++)
        {
            if (node.Arms[i].Expression is { } own and not ThrowExpressionSyntax && node.Arms[i + 1].Expression is { } next and not ThrowExpressionSyntax && own.ToString() != next.ToString())
            {
                arms[i] = arms[i].WithExpression(Either("next arm", own, arms[i].Expression, next));
            }
        }

        return visited.WithArms(SeparatedList(arms, visited.Arms.GetSeparators()));
    }

    public override SyntaxNode? VisitReturnStatement(ReturnStatementSyntax node)
    {
        var visited = (ReturnStatementSyntax)base.VisitReturnStatement(node)!;
        return node.Expression is { } value ? visited.WithExpression(Result(value, visited.Expression!)) : visited;
    }

    public override SyntaxNode? VisitArrowExpressionClause(ArrowExpressionClauseSyntax node)
    {
        var visited = (ArrowExpressionClauseSyntax)base.VisitArrowExpressionClause(node)!;
        return node.Expression is ThrowExpressionSyntax or LiteralExpressionSyntax ? visited : visited.WithExpression(Result(node.Expression, visited.Expression));
    }

    public override SyntaxNode? VisitArgument(ArgumentSyntax node)
    {
        var visited = (ArgumentSyntax)base.VisitArgument(node)!;
        if (!node.RefKindKeyword.IsKind(SyntaxKind.None) || IsThrown(node))
        {
            return visited;
        }

        return node.Expression switch
        {
            LiteralExpressionSyntax { RawKind: (int)SyntaxKind.TrueLiteralExpression } => visited.WithExpression(Either("literal", node.Expression, visited.Expression, LiteralExpression(SyntaxKind.FalseLiteralExpression))),
            LiteralExpressionSyntax { RawKind: (int)SyntaxKind.FalseLiteralExpression } => visited.WithExpression(Either("literal", node.Expression, visited.Expression, LiteralExpression(SyntaxKind.TrueLiteralExpression))),
            MemberAccessExpressionSyntax or IdentifierNameSyntax when IsNullable(node.Expression) => visited.WithExpression(Either("left out", node.Expression, visited.Expression, LiteralExpression(SyntaxKind.NullLiteralExpression))),
            _ => visited,
        };
    }

    public override SyntaxNode? VisitAssignmentExpression(AssignmentExpressionSyntax node)
    {
        var visited = (AssignmentExpressionSyntax)base.VisitAssignmentExpression(node)!;
        if (node.Parent is not InitializerExpressionSyntax || !node.IsKind(SyntaxKind.SimpleAssignmentExpression) || node.Right is InitializerExpressionSyntax or LiteralExpressionSyntax { RawKind: (int)SyntaxKind.NullLiteralExpression })
        {
            return visited;
        }

        return node.Right.Kind() switch
        {
            SyntaxKind.TrueLiteralExpression => visited.WithRight(Either("member", node.Right, visited.Right, LiteralExpression(SyntaxKind.FalseLiteralExpression))),
            _ => visited.WithRight(Either("member", node.Right, visited.Right, ParseExpression("default!"))),
        };
    }

    public override SyntaxNode? VisitLiteralExpression(LiteralExpressionSyntax node)
    {
        if (node.IsKind(SyntaxKind.NumericLiteralExpression) && node.Token.Value is int or long)
        {
            var value = Convert.ToInt64(node.Token.Value, System.Globalization.CultureInfo.InvariantCulture);
            return Either("number", node, node, ParseExpression($"{(value < 3 ? value + 1 : (2 * value) + 1)}{(node.Token.Value is long ? "L" : "")}"));
        }

        return node.IsKind(SyntaxKind.StringLiteralExpression) ? Sql(node) : node;
    }

    public override SyntaxNode? VisitBlock(BlockSyntax node)
    {
        var visited = (BlockSyntax)base.VisitBlock(node)!;
        var statements = visited.Statements.ToList();
        for (var i = 0; i < node.Statements.Count; i++)
        {
            statements[i] = Without(node.Statements[i], statements[i]);
        }

        // Two calls in a row, the other way round: a crash leaves the first write.
        for (var i = 0; i + 1 < node.Statements.Count; i++)
        {
            if (IsCall(node.Statements[i]) && IsCall(node.Statements[i + 1]))
            {
                var (first, second) = (node.Statements[i], node.Statements[i + 1]);
                if (Begin("order", first, $"{Text(first)} {Text(second)}", $"{Text(second)} {Text(first)}") is { } id)
                {
                    statements[i] = Marked(id, IfStatement(Is(id), Block(second, first), ElseClause(Block(statements[i], statements[i + 1]))));
                    statements[i + 1] = EmptyStatement();
                    i++;
                }
            }
        }

        return visited.WithStatements(List(statements));
    }

    /// <summary>Calls that only tell: logs, metrics, guards against mistakes of ours.</summary>
    private static bool IsTelling(string name) => name.StartsWith("Log", StringComparison.Ordinal) || name.StartsWith("ThrowIf", StringComparison.Ordinal) || name is "Record" or "ConfigureAwait" or "Assert" or "GC" or "SuppressFinalize" or "Hit";

    private static string NameOf(InvocationExpressionSyntax node) => node.Expression switch
    {
        MemberAccessExpressionSyntax member => member.Name.Identifier.Text,
        MemberBindingExpressionSyntax binding => binding.Name.Identifier.Text,
        SimpleNameSyntax name => name.Identifier.Text,
        _ => "",
    };

    private static bool IsCall(StatementSyntax statement) => statement is ExpressionStatementSyntax { Expression: var expression }
        && (expression is AwaitExpressionSyntax { Expression: var awaited } ? awaited : expression) is InvocationExpressionSyntax call && !IsTelling(NameOf(call)) && !Declares(statement);

    private static bool IsDenial(ExpressionSyntax node) => node is IsPatternExpressionSyntax { Pattern: UnaryPatternSyntax } or PrefixUnaryExpressionSyntax
        || (node is BinaryExpressionSyntax { RawKind: (int)SyntaxKind.LogicalOrExpression } either && (IsDenial(either.Left) || IsDenial(either.Right)));

    private static bool IsThrown(SyntaxNode node) => node.Ancestors().OfType<ObjectCreationExpressionSyntax>().Any(creation => creation.Type.ToString().EndsWith("Exception", StringComparison.Ordinal));

    private static bool Declares(SyntaxNode node) => node.DescendantNodesAndSelf().Any(inner => inner is SingleVariableDesignationSyntax or DeclarationExpressionSyntax or LambdaExpressionSyntax { Body: BlockSyntax });

    private static BinaryExpressionSyntax Other(BinaryExpressionSyntax node, SyntaxKind kind, SyntaxKind token) =>
        BinaryExpression(kind, node.Left, Token(token).WithTriviaFrom(node.OperatorToken), node.Right);

    private static string Text(SyntaxNode node)
    {
        var text = string.Join(' ', node.ToString().Split((char[])[' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries));
        return text.Length <= TextMax ? text : text[..TextMax] + "…";
    }

    private static InvocationExpressionSyntax Is(int id) => (InvocationExpressionSyntax)ParseExpression($"global::NpmMirror.Mutations.Is({id})");

    private static T Marked<T>(int id, T node)
        where T : SyntaxNode => node.WithAdditionalAnnotations(new SyntaxAnnotation(Mark, $"{id}"));

    private bool IsText(SyntaxNode node) => model.GetTypeInfo(node).Type?.SpecialType is SpecialType.System_String or null;

    private bool IsNullable(ExpressionSyntax node) => model.GetTypeInfo(node) is { Type: { } type } && (type.NullableAnnotation == NullableAnnotation.Annotated || type.OriginalDefinition.SpecialType == SpecialType.System_Nullable_T);

    private bool IsBool(ExpressionSyntax node) => model.GetTypeInfo(node).Type?.SpecialType == SpecialType.System_Boolean;

    /// <summary>Whether the code initialises a static field or property.</summary>
    private static bool IsOnce(SyntaxNode node) => node.FirstAncestorOrSelf<EqualsValueClauseSyntax>() is { Parent: PropertyDeclarationSyntax or VariableDeclaratorSyntax { Parent.Parent: FieldDeclarationSyntax } } initial
        && initial.FirstAncestorOrSelf<MemberDeclarationSyntax>()!.Modifiers.Any(SyntaxKind.StaticKeyword);

    private int? Begin(string kind, SyntaxNode node, string original, string changed)
    {
        var line = node.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
        if (isDropped(kind, original, changed, line))
        {
            return null;
        }

        var id = nextId();
        Made.Add(new Mutation(id, file, line, kind, original, changed, IsOnce(node)));
        return id;
    }

    private ExpressionSyntax Either(string kind, ExpressionSyntax node, ExpressionSyntax visited, ExpressionSyntax changed)
    {
        if (Declares(node) || Declares(changed) || Begin(kind, node, Text(node), Text(changed)) is not { } id)
        {
            return visited;
        }

        return Marked(id, ParenthesizedExpression(ConditionalExpression(Is(id), ParenthesizedExpression(changed.WithoutTrivia()), ParenthesizedExpression(visited.WithoutTrivia()))).WithTriviaFrom(visited));
    }

    private ExpressionSyntax Force(string kind, ExpressionSyntax node, ExpressionSyntax visited, bool to)
    {
        // A variable has its value where the condition is true, or where it is false if that is what it asks for.
        if ((Declares(node) && to != IsDenial(node)) || Begin(kind, node, Text(node), to ? "true" : "false") is not { } id)
        {
            return visited;
        }

        var inner = ParenthesizedExpression(visited.WithoutTrivia());
        // The condition is evaluated even so: its variables are declared there.
        var forced = to
            ? BinaryExpression(SyntaxKind.LogicalOrExpression, inner, Is(id))
            : BinaryExpression(SyntaxKind.LogicalAndExpression, inner, PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(id)));
        return Marked(id, ParenthesizedExpression(forced).WithTriviaFrom(visited));
    }

    private ExpressionSyntax Result(ExpressionSyntax node, ExpressionSyntax visited) =>
        IsBool(node) && node is not LiteralExpressionSyntax ? Force("result", node, Force("result", node, visited, to: true), to: false)
        : node.IsKind(SyntaxKind.TrueLiteralExpression) ? Either("result", node, visited, LiteralExpression(SyntaxKind.FalseLiteralExpression))
        : node.IsKind(SyntaxKind.FalseLiteralExpression) ? Either("result", node, visited, LiteralExpression(SyntaxKind.TrueLiteralExpression))
        : node is not LiteralExpressionSyntax && IsNullable(node) ? Either("result", node, visited, LiteralExpression(SyntaxKind.NullLiteralExpression))
        : visited;

    private StatementSyntax Without(StatementSyntax node, StatementSyntax visited)
    {
        var isLeftOut = node switch
        {
            ExpressionStatementSyntax { Expression: InvocationExpressionSyntax call } => !IsTelling(NameOf(call)),
            ExpressionStatementSyntax { Expression: AwaitExpressionSyntax or AssignmentExpressionSyntax or PostfixUnaryExpressionSyntax or PrefixUnaryExpressionSyntax } => true,
            BreakStatementSyntax or ContinueStatementSyntax => true,
            ThrowStatementSyntax => true,
            ReturnStatementSyntax { Expression: null } => true,
            _ => false,
        };
        return isLeftOut && !Declares(node) && Begin("statement", node, Text(node), "nothing") is { } id
            ? Marked(id, IfStatement(PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(id)), Block(visited)))
            : visited;
    }

    /// <summary>One change of a statement in SQL: the first place that can be changed.</summary>
    private ExpressionSyntax Sql(LiteralExpressionSyntax node)
    {
        var text = node.Token.ValueText;
        if (!text.Contains("SELECT ", StringComparison.Ordinal) && !text.Contains("UPDATE ", StringComparison.Ordinal) && !text.Contains("DELETE ", StringComparison.Ordinal) && !text.Contains("INSERT ", StringComparison.Ordinal))
        {
            return node;
        }

        ExpressionSyntax result = node;
        foreach (var (from, to) in ((string, string)[])[(" <= ", " < "), (" >= ", " > "), (" < ", " <= "), (" > ", " >= "), (" IS NULL", " IS NOT NULL"), (" AND ", " OR "), (" DESC", ""), (" + ", " - ")])
        {
            var at = text.IndexOf(from, StringComparison.Ordinal);
            if (at >= 0)
            {
                var changed = text.Remove(at, from.Length).Insert(at, to);
                var near = text[Math.Max(0, at - 40)..Math.Min(text.Length, at + 40)].ReplaceLineEndings(" ");
                if (Begin("SQL", node, near, $"{from.Trim()} → {to.Trim()}") is { } id)
                {
                    result = Marked(id, ParenthesizedExpression(ConditionalExpression(Is(id), LiteralExpression(SyntaxKind.StringLiteralExpression, Literal(changed)), ParenthesizedExpression(result.WithoutTrivia()))).WithTriviaFrom(node));
                }
            }
        }

        return result;
    }
}
