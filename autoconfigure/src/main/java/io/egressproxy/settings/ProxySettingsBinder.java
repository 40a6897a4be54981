package io.egressproxy.settings;

import io.egressproxy.ExchangeId;
import io.egressproxy.InvalidProxyUrlException;
import io.egressproxy.ProxyUrl;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.aot.hint.ExecutableMode;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.boot.context.properties.bind.BindContext;
import org.springframework.boot.context.properties.bind.BindHandler;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.bind.PropertySourcesPlaceholdersResolver;
import org.springframework.boot.context.properties.source.ConfigurationProperty;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertySource;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.context.properties.source.ConfigurationPropertyState;
import org.springframework.boot.convert.ApplicationConversionService;
import org.springframework.boot.origin.Origin;
import org.springframework.boot.origin.OriginLookup;
import org.springframework.core.convert.support.GenericConversionService;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.util.ClassUtils;
import org.springframework.util.ReflectionUtils;
import org.springframework.util.unit.DataSize;

/**
 * Binds the {@code proxy.*} tree from an environment: YAML and properties with their older shapes, {@code PROXY_*} and
 * {@code CRYPTOFEED_PROXY_*} variables, and whatever else Spring reads.
 *
 * <p>Uses Spring Boot's binder on translated sources and collects every problem instead of stopping at the first. No value
 * of a setting is ever quoted in an exception or a log line: any of them may be a password in the wrong place.
 */
public final class ProxySettingsBinder {
    private static final Logger log = LoggerFactory.getLogger(ProxySettingsBinder.class);
    private static final String VARIABLE_PREFIX = "PROXY_";
    private static final String LEGACY_VARIABLE_PREFIX = "CRYPTOFEED_PROXY_";
    private static final int LONGEST_NAME_OF_ENABLED =
            SettingsSchema.uniform(LEGACY_VARIABLE_PREFIX + "ENABLED").length();
    private static final ConfigurationPropertyName TREE = ConfigurationPropertyName.of(ProxyProperties.PREFIX);
    private static final ConfigurationPropertyName ENABLED = TREE.append("enabled");
    private static final Set<String> CONTAINERS = Set.of("proxy", "proxy.exchanges");

    private final ConfigurableEnvironment environment;
    private final SettingsTranslator translator = new SettingsTranslator();
    private final EnvironmentVariableNames variableNames = new EnvironmentVariableNames();
    private final TreeSet<String> legacyVariables = new TreeSet<>();
    private final TreeSet<String> unknownVariables = new TreeSet<>();

    private final Predicate<String> names;

    private ProxySettingsBinder(ConfigurableEnvironment environment, Predicate<String> names) {
        this.environment = environment;
        this.names = names;
    }

    /**
     * The settings of an environment.
     *
     * @param environment the environment to read
     * @return valid settings; those of an empty tree if nothing is set
     * @throws InvalidProxySettingsException with everything that is wrong, and where it stands
     */
    public static ProxySettings bind(ConfigurableEnvironment environment) {
        return new ProxySettingsBinder(environment, name -> true).bind();
    }

    /**
     * Whether {@code proxy.enabled} is true, by whatever name and from wherever it is set. Does not look at anything else.
     *
     * @param environment the environment to read
     * @return false also if it is set to something that is neither true nor false; {@link #bind} says so
     */
    public static boolean isEnabled(ConfigurableEnvironment environment) {
        return Boolean.TRUE.equals(new ProxySettingsBinder(environment, ProxySettingsBinder::maySayEnabled).enabled());
    }

    /**
     * Whether {@code proxy.enabled} is false, by whatever name and from wherever it is set. Looks at the names of variables and of the keys beside it,
     * and at nothing below them.
     *
     * @param environment the environment to read
     * @return false also if it is not set, if it is set twice in one place, or if a key beside it does not exist, which may be meant to be this one:
     *     {@link #bind} says so
     */
    public static boolean isSwitchedOff(ConfigurableEnvironment environment) {
        ProxySettingsBinder first = new ProxySettingsBinder(environment, ProxySettingsBinder::maySayEnabled);
        if (!Boolean.FALSE.equals(first.enabled())) {
            return false;
        }
        ProxySettingsBinder binder = new ProxySettingsBinder(
                environment,
                name -> maySayEnabled(name) || isVariable(name) || path(name).size() == 2);
        boolean off = Boolean.FALSE.equals(binder.enabled());
        if (off) {
            binder.reportVariables();
        }
        return off;
    }

    /** Null if nobody says, or not clearly. */
    private @Nullable Boolean enabled() {
        List<ConfigurationPropertySource> sources = sources();
        List<SettingsProblem> ignored = new ArrayList<>();
        Boolean enabled = binder(sources)
                .bind(ENABLED, Bindable.of(Boolean.class), new ProblemCollector(ignored))
                .orElse(null);
        boolean doubtful =
                Boolean.FALSE.equals(enabled) && !translator.problems().isEmpty();
        return doubtful ? null : enabled;
    }

    private static boolean isVariable(String name) {
        return name.indexOf('.') < 0;
    }

    /** Several conditions ask at each start, and shall not go through ten thousand proxies each time. */
    private static boolean maySayEnabled(String name) {
        String uniform = SettingsSchema.uniform(name);
        return uniform.equals(ProxyProperties.PREFIX) // all of the tree as one value
                || (uniform.length() <= LONGEST_NAME_OF_ENABLED && uniform.contains("enabled"));
    }

    /**
     * Problems that were found later, with where the settings stand that they are about.
     *
     * @param environment the environment that the settings come from
     * @param problems what is wrong
     * @return the same problems, those whose place can be told with their origin
     */
    public static List<SettingsProblem> locate(ConfigurableEnvironment environment, List<SettingsProblem> problems) {
        return located(problems, new ProxySettingsBinder(environment, name -> true).sources());
    }

    private ProxySettings bind() {
        List<ConfigurationPropertySource> sources = sources();
        List<SettingsProblem> problems = new ArrayList<>(translator.problems());
        reportVariables();
        if (problems.isEmpty() && sources.stream().allMatch(ProxySettingsBinder::saysNothing)) {
            // what binding would find, too, but only after having gone through all classes of the tree: many
            // milliseconds of a start
            return ProxySettings.builder().enabled(false).build();
        }
        ProxyProperties properties = binder(sources)
                .bindOrCreate(
                        ProxyProperties.PREFIX, Bindable.of(ProxyProperties.class), new ProblemCollector(problems));
        if (!problems.isEmpty()) {
            problems.addAll(located(alsoWrong(properties, problems), sources));
            throw new InvalidProxySettingsException(problems);
        }
        Map<ExchangeId, ExchangeSettings> exchanges = new LinkedHashMap<>();
        properties.exchanges().forEach((id, settings) -> exchanges.put(ExchangeId.of(id), settings));
        try {
            return new ProxySettings(
                    properties.enabled(),
                    properties.directFallback(),
                    properties.unmatchedHosts(),
                    properties.noProxy(),
                    properties.transparent(),
                    properties.defaults(),
                    exchanges,
                    properties.externalService(),
                    properties.reload());
        } catch (InvalidProxySettingsException invalid) {
            throw new InvalidProxySettingsException(located(invalid.problems(), sources));
        }
    }

    private static boolean saysNothing(ConfigurationPropertySource source) {
        return !(source instanceof TranslatedSource)
                && source.containsDescendantOf(TREE) == ConfigurationPropertyState.ABSENT;
    }

    /** What is wrong with the settings that could be bound, but for what comes of those that could not. */
    private static List<SettingsProblem> alsoWrong(ProxyProperties properties, List<SettingsProblem> problems) {
        Map<ExchangeId, ExchangeSettings> exchanges = new LinkedHashMap<>();
        properties.exchanges().forEach((id, settings) -> exchanges.put(ExchangeId.of(id), settings));
        return SettingsValidator.problems(
                        properties.defaults(), exchanges, properties.externalService(), properties.reload())
                .stream()
                .filter(also -> problems.stream().noneMatch(known -> isAbout(known.property(), also.property())))
                .toList();
    }

    private static boolean isAbout(String one, String other) {
        return isWithin(one, other) || isWithin(other, one);
    }

    private static boolean isWithin(String inner, String outer) {
        return inner.equals(outer) || inner.startsWith(outer + ".") || inner.startsWith(outer + "[");
    }

    private Binder binder(List<ConfigurationPropertySource> sources) {
        GenericConversionService conversions = new GenericConversionService();
        conversions.addConverter(String.class, ProxyUrl.class, ProxySettingsBinder::url);
        conversions.addConverter(Number.class, ProxyUrl.class, number -> ProxyUrl.parse(number.toString()));
        conversions.addConverter(String.class, PoolMember.class, text -> PoolMember.of(url(text)));
        conversions.addConverter(Number.class, PoolMember.class, number -> PoolMember.of(url(number.toString())));
        conversions.addConverter(String.class, HostPattern.class, HostPattern::of);
        return new Binder(
                sources,
                new PropertySourcesPlaceholdersResolver(environment),
                List.of(conversions, ApplicationConversionService.getSharedInstance()),
                null,
                null,
                null);
    }

    private static @Nullable ProxyUrl url(String text) {
        return text.isBlank() ? null : ProxyUrl.parse(text);
    }

    /** In the order of precedence. Files come first in spelling exchange ids: the environment has lost their case. */
    private List<ConfigurationPropertySource> sources() {
        List<PropertySource<?>> original = environment.getPropertySources().stream()
                .filter(source -> !ConfigurationPropertySources.isAttachedConfigurationPropertySource(source))
                .collect(Collectors.toList());
        Map<PropertySource<?>, List<ConfigurationPropertySource>> translated = new LinkedHashMap<>();
        for (PropertySource<?> source : original) {
            if (!(source instanceof SystemEnvironmentPropertySource)) {
                translated.put(source, properties(source));
            }
        }
        for (PropertySource<?> source : original) {
            if (source instanceof SystemEnvironmentPropertySource variables) {
                translated.put(
                        source,
                        List.of(variables(variables, VARIABLE_PREFIX), variables(variables, LEGACY_VARIABLE_PREFIX)));
            }
        }
        return original.stream()
                .flatMap(source -> Objects.requireNonNull(translated.get(source)).stream())
                .filter(source -> !(source instanceof TranslatedSource own && own.isEmpty())) // asked for each key
                .toList();
    }

    private List<ConfigurationPropertySource> properties(PropertySource<?> source) {
        if (!(source instanceof EnumerablePropertySource<?> enumerable)) {
            ConfigurationPropertySource plain = ConfigurationPropertySource.from(source);
            return plain == null ? List.of() : List.of(plain);
        }
        // Spring Boot does not hold unknown names of system properties against anybody, and neither do we
        boolean lenient = source.getName().equals(StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME);
        int before = translator.problems().size();
        SettingsTranslator.Session session = translator.new Session(false);
        for (String name : enumerable.getPropertyNames()) {
            List<String> path = names.test(name) ? path(name) : List.of();
            Object value = path.isEmpty() ? null : enumerable.getProperty(name);
            if (value != null) {
                // a config tree has its files' contents as another kind of text
                Object text = value instanceof CharSequence ? value.toString() : value;
                session.add(path.subList(1, path.size()), text, OriginLookup.getOrigin(source, name));
            }
        }
        List<SettingsProblem> problems = translator.problems();
        if (lenient && problems.size() > before) {
            List<SettingsProblem> found = problems.subList(before, problems.size());
            found.forEach(problem -> log.warn("Ignored system property: {}", problem));
            found.clear();
        }
        return List.of(session.source());
    }

    /** The elements of a name under {@code proxy}, {@code [..]} kept whole; empty for any other name. */
    private static List<String> path(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        boolean ours = lower.equals(ProxyProperties.PREFIX)
                || lower.startsWith(ProxyProperties.PREFIX + ".")
                || lower.startsWith(ProxyProperties.PREFIX + "[");
        if (!ours) {
            return List.of();
        }
        List<String> path = new ArrayList<>();
        StringBuilder element = new StringBuilder();
        boolean bracketed = false;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (bracketed ? c == ']' : c == '.' || c == '[') {
                if (bracketed || !element.isEmpty()) {
                    path.add(element.toString());
                    element.setLength(0);
                }
                bracketed = c == '[';
            } else {
                element.append(c);
            }
        }
        if (!element.isEmpty()) {
            path.add(element.toString());
        }
        return path;
    }

    private TranslatedSource variables(SystemEnvironmentPropertySource variables, String prefix) {
        SettingsTranslator.Session session = translator.new Session(true);
        boolean legacy = prefix.equals(LEGACY_VARIABLE_PREFIX);
        String own = legacy ? null : OwnPrefix.of(variables); // the older names are what they are
        for (String written : variables.getPropertyNames()) {
            String variable = OwnPrefix.removed(own, written);
            if (variable == null || !names.test(variable)) {
                continue;
            }
            List<String> dotted = legacy ? List.of() : path(variable);
            if (dotted.size() > 1) { // proxy.default.http.url, as container platforms can set it
                session.add(
                        dotted.subList(1, dotted.size()),
                        String.valueOf(variables.getProperty(written)),
                        new VariableOrigin(written));
                continue;
            }
            if (!variable.toUpperCase(Locale.ROOT).startsWith(prefix)) {
                continue;
            }
            List<String> path = variableNames.resolve(variable.substring(prefix.length()));
            if (path == null) {
                if (legacy || variableNames.looksLikeASetting(variable.substring(prefix.length()))) {
                    unknownVariables.add(written);
                }
                continue; // PROXY_HOST and the like belong to somebody else
            }
            if (legacy) {
                legacyVariables.add(written);
            }
            Object value = variables.getProperty(written);
            session.add(path, value == null ? "" : value, new VariableOrigin(written));
        }
        return session.source();
    }

    /** What the application has all of its variables begin with, by {@code SpringApplication.setEnvironmentPrefix}. */
    private static final class OwnPrefix {
        private static final Method GETTER =
                getter(); // several conditions ask, and looking for a class that is not there costs

        static @Nullable String of(PropertySource<?> variables) {
            Object prefix = GETTER.getDeclaringClass().isInstance(variables)
                    ? ReflectionUtils.invokeMethod(GETTER, variables)
                    : null;
            return prefix == null || prefix.equals("") ? null : ((String) prefix).replace('.', '_') + "_";
        }

        /** By name: its interface is another since Spring Boot 4. */
        private static Method getter() {
            ClassLoader loader = ProxySettingsBinder.class.getClassLoader();
            String sinceSpringBoot4 = "org.springframework.boot.env.PropertySourceInfo";
            Class<?> type = ClassUtils.isPresent(sinceSpringBoot4, loader)
                    ? ClassUtils.resolveClassName(sinceSpringBoot4, loader)
                    : OriginLookup.class;
            return Objects.requireNonNull(ReflectionUtils.findMethod(type, "getPrefix"));
        }

        /** The rest of a variable's name, or null if it begins with something else. */
        static @Nullable String removed(@Nullable String prefix, String variable) {
            if (prefix == null) {
                return variable;
            }
            // dashes fall away, or are underscores, as Spring Boot has it for the rest of a name
            for (String spelled : List.of(prefix.replace("-", ""), prefix.replace('-', '_'))) {
                if (variable.regionMatches(true, 0, spelled, 0, spelled.length())) {
                    return variable.substring(spelled.length());
                }
            }
            return null;
        }
    }

    /** So that a native image finds what is called by name. */
    public static final class Hints implements RuntimeHintsRegistrar {
        /** For Spring. */
        public Hints() {}

        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            hints.reflection().registerMethod(OwnPrefix.GETTER, ExecutableMode.INVOKE);
        }
    }

    private record VariableOrigin(String variable) implements Origin {
        @Override
        public String toString() {
            return "environment variable " + variable;
        }
    }

    private void reportVariables() {
        if (!legacyVariables.isEmpty()) {
            log.info(
                    "Proxy settings are read from older environment variables: {}", String.join(", ", legacyVariables));
        }
        if (!unknownVariables.isEmpty()) {
            log.warn(
                    "Environment variables that look like proxy settings but mean no setting are ignored: {}",
                    String.join(", ", unknownVariables));
        }
    }

    private static List<SettingsProblem> located(
            List<SettingsProblem> problems, List<ConfigurationPropertySource> sources) {
        return problems.stream()
                .map(problem -> problem.origin() == null ? locate(problem, sources) : problem)
                .toList();
    }

    /** Says where the property stands that a problem is about, or where something about it does if it is missing. */
    private static SettingsProblem locate(SettingsProblem problem, List<ConfigurationPropertySource> sources) {
        String property = problem.property().replaceAll("^proxy\\.exchanges\\.([^.\\[]+)", "proxy.exchanges[$1]");
        ConfigurationPropertyName name = ConfigurationPropertyName.of(property.replace("exchanges.[", "exchanges["));
        while (!name.isEmpty() && !CONTAINERS.contains(name.toString())) { // others stand there, which it is not about
            Origin origin = origin(name, sources);
            if (origin != null) {
                return new SettingsProblem(problem.property(), problem.message(), origin.toString());
            }
            name = name.getParent();
        }
        return problem;
    }

    private static @Nullable Origin origin(ConfigurationPropertyName name, List<ConfigurationPropertySource> sources) {
        return sources.stream()
                .filter(TranslatedSource.class::isInstance)
                .map(TranslatedSource.class::cast)
                .flatMap(source -> source.stream()
                        .filter(candidate -> candidate.equals(name) || name.isAncestorOf(candidate))
                        .map(source::getConfigurationProperty))
                .map(property -> property == null ? null : property.getOrigin())
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
    }

    /** Turns what cannot be converted into problems and goes on, so that one start shows all of them. */
    private static final class ProblemCollector implements BindHandler {
        private final List<SettingsProblem> problems;

        ProblemCollector(List<SettingsProblem> problems) {
            this.problems = problems;
        }

        @Override
        public @Nullable Object onFailure(
                ConfigurationPropertyName name, Bindable<?> target, BindContext context, Exception error) {
            boolean explained = problems.stream()
                    .anyMatch(problem -> problem.property().startsWith(name + "[")
                            || problem.property().startsWith(name + "."));
            if (explained) { // the binder passes the failure of an element on to what holds it
                return null;
            }
            ConfigurationProperty property = context.getConfigurationProperty();
            Origin origin = property == null ? null : property.getOrigin();
            boolean plainMember = target.getType().resolve() == PoolMember.class; // its URL, see TranslatedSource
            problems.add(new SettingsProblem(
                    name + (plainMember ? ".url" : ""),
                    message(target, error),
                    origin == null ? null : origin.toString()));
            return null;
        }

        private static String message(Bindable<?> target, Exception error) {
            Class<?> type = Objects.requireNonNullElse(target.getType().resolve(), Object.class);
            Throwable own = Stream.iterate((Throwable) error, Objects::nonNull, Throwable::getCause)
                    .filter(cause ->
                            cause instanceof InvalidProxyUrlException || cause instanceof HostPattern.InvalidException)
                    .findFirst()
                    .orElse(null);
            if (own != null) {
                return (own instanceof InvalidProxyUrlException ? "is not usable: " : "") + own.getMessage();
            }
            if (type == Integer.class || type == int.class) {
                return "must be a whole number";
            }
            if (type == Double.class || type == double.class) {
                return "must be a number";
            }
            if (type == Boolean.class || type == boolean.class) {
                return "must be true or false";
            }
            if (type == Duration.class) {
                return "must be a duration: a whole number of seconds, or such as 500ms, 30s or 5m";
            }
            if (type == DataSize.class) {
                return "must be a size, such as 1KB";
            }
            if (type.isEnum()) {
                return "must be one of "
                        + Arrays.stream(type.getEnumConstants())
                                .map(value -> value.toString().toLowerCase(Locale.ROOT))
                                .collect(Collectors.joining(", "));
            }
            return "has a value of the wrong kind";
        }
    }
}
