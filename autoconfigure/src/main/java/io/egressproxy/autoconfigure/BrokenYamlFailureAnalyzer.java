package io.egressproxy.autoconfigure;

import io.egressproxy.settings.BrokenYaml;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.BeansException;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.yaml.snakeyaml.error.YAMLException;

/** Explains a broken YAML file at start. Without it the parser's message would be printed, which quotes the line with its passwords. */
final class BrokenYamlFailureAnalyzer extends AbstractFailureAnalyzer<YAMLException> {
    @Override
    protected @Nullable FailureAnalysis analyze(Throwable rootFailure, YAMLException cause) {
        // what a bean cannot parse is the application's own
        String problem = rootFailure instanceof BeansException ? null : BrokenYaml.describe(cause);
        return problem == null
                ? null
                : new FailureAnalysis(
                        "The configuration cannot be read: " + problem + ".",
                        "Correct that place in application.yml, in the file of an active profile, or in what they import, whichever was"
                                + " changed last. It is not shown, since it may hold a password.",
                        new IllegalStateException(problem)); // the cause quotes the file
    }
}
