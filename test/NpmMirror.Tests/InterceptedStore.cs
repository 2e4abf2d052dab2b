using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests;

/// <summary>A call of a store or of one of its tables.</summary>
/// <param name="Method">The method's name.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="AnswerType">The type of its answer.</param>
/// <param name="Make">Makes the call.</param>
internal sealed record StoreCall(string Method, object?[] Arguments, Type AnswerType, Func<object?> Make);

/// <summary>A store whose calls, and its tables' calls, go through a test.</summary>
public class InterceptedStore : DispatchProxy
{
    private readonly Dictionary<string, object> _tables = [];
    private object _target = null!;
    private Func<StoreCall, object?> _handle = null!;

    /// <summary>Wraps a store; the handler answers each call, by making it or otherwise.</summary>
    internal static IMetadataStore Over(IMetadataStore store, Func<StoreCall, object?> handle)
    {
        var wrapped = Wrap(typeof(IMetadataStore), store, handle);
        foreach (var table in typeof(IMetadataStore).GetProperties().Where(property => property.PropertyType.Name.EndsWith("Table", StringComparison.Ordinal)))
        {
            if (table.GetValue(store) is { } its)
            {
                wrapped._tables[table.GetMethod!.Name] = Wrap(table.PropertyType, its, handle);
            }
        }

        return (IMetadataStore)(object)wrapped;
    }

    /// <inheritdoc/>
    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _tables.TryGetValue(targetMethod!.Name, out var table)
        ? table
        : _handle(new StoreCall(targetMethod.Name, args ?? [], targetMethod.ReturnType, () => targetMethod.Invoke(_target, BindingFlags.DoNotWrapExceptions, null, args, null)));

    private static InterceptedStore Wrap(Type type, object target, Func<StoreCall, object?> handle)
    {
        var wrapped = (InterceptedStore)Create(type, typeof(InterceptedStore));
        (wrapped._target, wrapped._handle) = (target, handle);
        return wrapped;
    }
}
