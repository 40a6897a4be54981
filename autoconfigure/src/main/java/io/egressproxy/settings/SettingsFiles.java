package io.egressproxy.settings;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.config.YamlPropertiesFactoryBean;
import org.springframework.boot.context.config.ConfigDataLocation;
import org.springframework.boot.context.config.ConfigDataLocationNotFoundException;
import org.springframework.boot.context.config.ConfigDataNotFoundException;
import org.springframework.boot.context.config.ConfigDataResourceNotFoundException;
import org.springframework.boot.context.config.StandardConfigDataResource;
import org.springframework.boot.origin.Origin;
import org.springframework.boot.origin.OriginLookup;
import org.springframework.boot.origin.TextResourceOrigin;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.FileSystemResource;
import org.springframework.core.io.Resource;
import org.springframework.util.StringUtils;

/** The files that an environment was read from, imports and config trees included, and whether they have changed since. */
public final class SettingsFiles {
    private static final List<String> YAML = List.of(".yml", ".yaml");
    private static final String IMPORT = "spring.config.import";

    /** Of a single file; a location that ends with a slash is a directory. */
    private static final Pattern FILE = Pattern.compile("(?:optional:)?(?:file:)?([^:\\[]*[^:\\[/])(?:\\[.*])?");

    private final Set<Path> files;

    private SettingsFiles(Set<Path> files) {
        this.files = files;
    }

    /**
     * The files of an environment.
     *
     * @param environment the environment
     * @return those that at least one property comes from
     */
    public static SettingsFiles of(ConfigurableEnvironment environment) {
        Set<Path> files = new LinkedHashSet<>();
        for (PropertySource<?> source : environment.getPropertySources()) {
            if (source instanceof EnumerablePropertySource<?> enumerable && source instanceof OriginLookup<?>) {
                for (String name : enumerable.getPropertyNames()) {
                    Origin origin = OriginLookup.getOrigin(source, name);
                    Resource resource = origin instanceof TextResourceOrigin text ? text.getResource() : null;
                    add(resource, files);
                    if (name.startsWith(IMPORT)) { // which may be empty as yet
                        imports(environment, String.valueOf(enumerable.getProperty(name)), resource, files);
                    }
                }
            }
        }
        return new SettingsFiles(files);
    }

    private static void imports(
            ConfigurableEnvironment environment, String locations, @Nullable Resource importer, Set<Path> files) {
        for (String location :
                StringUtils.commaDelimitedListToStringArray(environment.resolvePlaceholders(locations))) {
            Matcher file = FILE.matcher(location.strip());
            try {
                if (file.matches()) {
                    Path path = Path.of(file.group(1));
                    Path directory = importer != null && importer.isFile()
                            ? importer.getFile().toPath().getParent()
                            : null;
                    files.add((directory == null ? path : directory.resolve(path)).toAbsolutePath());
                }
            } catch (IOException | InvalidPathException elsewhere) {
                // no file of this machine
            }
        }
    }

    /**
     * The file that is missed, so that its coming can be noticed.
     *
     * @param failure what reading an environment has failed with
     * @return no file if that is not what has failed
     */
    public static SettingsFiles missedBy(Throwable failure) {
        Set<Path> files = new LinkedHashSet<>();
        Throwable cause = failure;
        for (int depth = 0; cause != null && depth < 20; depth++, cause = cause.getCause()) {
            if (cause instanceof ConfigDataResourceNotFoundException missing
                    && missing.getResource() instanceof StandardConfigDataResource resource) {
                add(resource.getResource(), files);
            } else if (cause instanceof ConfigDataNotFoundException) {
                ConfigDataLocation location = cause instanceof ConfigDataResourceNotFoundException missing
                        ? missing.getLocation()
                        : cause instanceof ConfigDataLocationNotFoundException missing ? missing.getLocation() : null;
                if (location != null) { // of a config tree, or of a directory
                    add(new FileSystemResource(location.getValue().replaceFirst("^(configtree|file):", "")), files);
                }
            }
        }
        return new SettingsFiles(files);
    }

    /**
     * Where the YAML among these files is broken.
     *
     * @return the file with the line and column; null if all can be parsed
     */
    public @Nullable String describeBroken() {
        return files.stream()
                .filter(file -> YAML.stream().anyMatch(file.toString()::endsWith) && Files.isRegularFile(file))
                .map(SettingsFiles::describeBroken)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
    }

    private static @Nullable String describeBroken(Path file) {
        try {
            YamlPropertiesFactoryBean yaml = new YamlPropertiesFactoryBean();
            yaml.setResources(new FileSystemResource(file));
            yaml.getObject();
            return null;
        } catch (RuntimeException broken) {
            String place = BrokenYaml.describe(broken);
            return place == null ? null : place + ", in " + file;
        }
    }

    /**
     * These and others.
     *
     * @param others more files
     * @return all of them
     */
    public SettingsFiles and(SettingsFiles others) {
        Set<Path> all = new LinkedHashSet<>(files);
        all.addAll(others.files);
        return new SettingsFiles(all);
    }

    private static void add(@Nullable Resource resource, Set<Path> files) {
        if (resource == null || !resource.isFile()) {
            return;
        }
        try {
            files.add(resource.getFile().toPath().toAbsolutePath());
        } catch (IOException inNoFileSystem) {
            // as in a jar, where nothing changes
        }
    }

    /**
     * What the files are like now. Looks at no content, and so misses nothing but a file that is written twice within a tick of the file
     * system's clock, to the same size.
     *
     * @return equal to another one if nothing has changed in between: no file, nothing that a symbolic link leads to, and no file that is read
     *     as well has come to a directory that holds one
     */
    public Object fingerprint() {
        Map<Path, String> prints = new LinkedHashMap<>();
        Map<Path, Boolean> directories = new LinkedHashMap<>();
        for (Path file : files) {
            if (!Files.exists(file)) {
                continue; // one that is missed for the first time is no change
            }
            if (Files.isDirectory(file)) { // that was missed
                directories.put(file, true);
                continue;
            }
            prints.computeIfAbsent(file, SettingsFiles::print);
            if (file.getParent() != null) { // a file of another profile may have come
                directories.merge(file.getParent(), !isConfiguration(file), Boolean::logicalOr);
            }
        }
        directories.forEach(
                (directory, configTree) -> prints.merge(directory, names(directory, configTree), String::concat));
        return prints;
    }

    private static boolean isConfiguration(Path file) {
        String name = String.valueOf(file.getFileName());
        return name.endsWith(".properties") || YAML.stream().anyMatch(name::endsWith);
    }

    /** What could be read: whatever a config tree holds, and files of settings elsewhere, where others may come and go. */
    private static String names(Path directory, boolean configTree) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> configTree || isConfiguration(file))
                    .map(file -> file.getFileName() + " " + print(file)) // also of those that hold nothing as yet
                    .sorted()
                    .collect(Collectors.joining("/"));
        } catch (IOException | UncheckedIOException missing) {
            return "missing";
        }
    }

    private static String print(Path path) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            return path.toRealPath() + " " + attributes.fileKey() + " " + attributes.lastModifiedTime() + " "
                    + attributes.size();
        } catch (IOException missing) {
            return "missing";
        }
    }

    /**
     * Whether there are any.
     *
     * @return true if there is none
     */
    public boolean isEmpty() {
        return files.isEmpty();
    }

    /** The files, for people. */
    @Override
    public String toString() {
        return files.stream().map(Path::toString).collect(Collectors.joining(", "));
    }
}
