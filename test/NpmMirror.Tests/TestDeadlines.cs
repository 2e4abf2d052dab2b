using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestFramework(typeof(NpmMirror.Tests.TestDeadlines))]
[assembly: TestCollectionOrderer(typeof(NpmMirror.Tests.TestDeadlines.LongestFirst))]

namespace NpmMirror.Tests;

/// <summary>
/// Gives every test that waits a deadline, so that a product that hangs is a failed test with a name and not a run without an end. A test that names
/// a time-out of its own keeps it.
/// </summary>
public sealed class TestDeadlines : XunitTestFramework
{
    /// <summary>Another deadline, in seconds.</summary>
    internal const string Variable = "TEST_DEADLINE";

    // It only bounds a hang: a busy machine may need minutes for a second's work.
    private const int UsualSeconds = 300;

    // By the id of a collection, which is usually a class: the latest deadline of its tests, in milliseconds.
    private static readonly ConcurrentDictionary<string, int> Latest = new();

    private static readonly PropertyInfo Timeout = typeof(XunitTestCase).GetProperty(nameof(XunitTestCase.Timeout))!;

    /// <inheritdoc/>
    protected override ITestFrameworkExecutor CreateExecutor(Assembly assembly) => new Executor(new XunitTestAssembly(assembly, configFilePath: null, version: assembly.GetName().Version));

    private static int DeadlineMilliseconds() =>
        1000 * (int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? seconds : UsualSeconds);

    /// <summary>xunit takes time-outs for methods that can be awaited only.</summary>
    private static bool Waits(MethodInfo method) => method.ReturnType.GetMethod(nameof(Task.GetAwaiter)) is not null || method.GetCustomAttribute<AsyncStateMachineAttribute>() is not null;

    private sealed class Executor(IXunitTestAssembly assembly) : XunitTestFrameworkExecutor(assembly)
    {
        public override ValueTask RunTestCases(IReadOnlyCollection<IXunitTestCase> testCases, IMessageSink executionMessageSink, ITestFrameworkExecutionOptions executionOptions, CancellationToken cancellationToken)
        {
            foreach (var testCase in testCases.OfType<XunitTestCase>().Where(testCase => testCase.Timeout == 0 && Waits(testCase.TestMethod.Method)))
            {
                Timeout.SetValue(testCase, DeadlineMilliseconds());
            }

            foreach (var testCase in testCases)
            {
                Latest.AddOrUpdate(testCase.TestCollection.UniqueID, testCase.Timeout, (_, latest) => Math.Max(latest, testCase.Timeout));
            }

            return base.RunTestCases(testCases, executionMessageSink, executionOptions, cancellationToken);
        }
    }

    /// <summary>Tests that may take longest begin first: one that begins last runs alone, and the other processors wait for it.</summary>
    public sealed class LongestFirst : ITestCollectionOrderer
    {
        /// <inheritdoc/>
        public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
            where TTestCollection : ITestCollection =>
            [.. DefaultTestCollectionOrderer.Instance.OrderTestCollections(testCollections).OrderByDescending(collection => Latest.GetValueOrDefault(collection.UniqueID))];
    }
}
