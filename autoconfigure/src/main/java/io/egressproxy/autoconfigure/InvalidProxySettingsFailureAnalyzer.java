package io.egressproxy.autoconfigure;

import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.SettingsProblem;
import java.util.stream.Collectors;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Explains wrong settings at start: every problem, where it stands, and what to write. No value is shown. */
final class InvalidProxySettingsFailureAnalyzer extends AbstractFailureAnalyzer<InvalidProxySettingsException> {
    @Override
    protected FailureAnalysis analyze(Throwable rootFailure, InvalidProxySettingsException cause) {
        String problems = cause.problems().stream()
                .map(InvalidProxySettingsFailureAnalyzer::describe)
                .collect(Collectors.joining());
        return new FailureAnalysis(
                "The proxy settings are not valid:\n" + problems,
                "Correct the properties named above. Values are not shown, since they may hold passwords.",
                // the stack trace adds nothing, and causes further down may quote values
                cause);
    }

    private static String describe(SettingsProblem problem) {
        String origin = problem.origin() == null ? "" : "\n        at " + problem.origin();
        return "\n    " + problem.property() + "\n        " + problem.message() + origin + "\n";
    }
}
