using System.Reflection;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A store at whose calls a test can act, just before or just after, as another process at that moment.</summary>
internal static class HookedStore
{
    private static readonly string[] OfTarballs = [nameof(ITarballTable.ForgetTarballAsync), nameof(ITarballTable.IsReferencedAsync), nameof(ITarballTable.PutTarballAsync)];

    private static readonly MethodInfo Calling = typeof(HookedStore).GetMethod(nameof(Call), BindingFlags.NonPublic | BindingFlags.Static)!;

    /// <summary>Wraps a store; the hook is told the method, and whether it is about to be called.</summary>
    public static IMetadataStore Over(IMetadataStore store, Func<string, bool, ValueTask> hook, params string[] methods) => InterceptedStore.Over(
        store,
        call => (methods.Length > 0 ? methods : OfTarballs).Contains(call.Method) ? Calling.MakeGenericMethod(call.AnswerType.GenericTypeArguments[0]).Invoke(null, [call, hook]) : call.Make());

    private static ValueTask<T> Call<T>(StoreCall call, Func<string, bool, ValueTask> hook)
    {
        return new(CallAsync());

        async Task<T> CallAsync()
        {
            await hook(call.Method, true);
            var answer = await (ValueTask<T>)call.Make()!;
            await hook(call.Method, false);
            return answer;
        }
    }
}
