package io.egressproxy.settings;

import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.error.MarkedYAMLException;

/** Where a YAML file is broken. The parser's own message quotes the line, and with it whatever password stands there. */
public final class BrokenYaml {
    private static final String PARSER = "org.yaml.snakeyaml.";

    private BrokenYaml() {}

    /**
     * Where it is broken, and how.
     *
     * @param failure what reading it has failed with
     * @return without anything that stands in the file; null if it is something else that has failed
     */
    public static @Nullable String describe(Throwable failure) {
        return Stream.iterate(failure, cause -> cause != null, Throwable::getCause)
                .limit(20)
                .filter(cause -> cause.getClass().getName().startsWith(PARSER)) // which may be missing altogether
                .findFirst()
                .map(BrokenYaml::place)
                .orElse(null);
    }

    private static String place(Throwable failure) {
        Mark mark = failure instanceof MarkedYAMLException marked ? marked.getProblemMark() : null;
        return "a YAML file is broken"
                + (mark == null ? "" : " at line " + (mark.getLine() + 1) + ", column " + (mark.getColumn() + 1))
                + " (" + failure.getClass().getSimpleName()
                + "): look for a quote or bracket that is not closed, a key that stands"
                + " there twice, or a tab";
    }
}
