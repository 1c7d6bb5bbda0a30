package kernel

// field is a set of a message's fields; type and seq always belong.
type field uint

const (
	fieldID field = 1 << iota
	fieldText
	fieldData
	fieldMetadata
	fieldDisplayID
	fieldName
	fieldValue
	fieldTraceback
	fieldStatus
	fieldResult
	fieldResultJSON
	fieldResultRepr
	fieldResultSource
	fieldMessage
	fieldWait
	fieldMatches
	fieldStart
	fieldEnd
	fieldIndent
)

// shape is which fields a type must and may have.
type shape struct{ must, may field }

var (
	outputShape       = shape{fieldText, fieldText}
	displayShape      = shape{fieldData, fieldData | fieldMetadata | fieldDisplayID}
	errorShape        = shape{fieldName | fieldValue | fieldTraceback, fieldName | fieldValue | fieldTraceback}
	doneMust          = fieldID | fieldStatus | fieldResultJSON | fieldResultSource
	clearShape        = shape{fieldWait, fieldWait}
	completionsShape  = shape{fieldID | fieldMatches | fieldStart | fieldEnd, fieldID | fieldMatches | fieldStart | fieldEnd}
	completenessShape = shape{fieldID | fieldStatus | fieldIndent, fieldID | fieldStatus | fieldIndent}
	verdictShape      = shape{fieldID | fieldStatus | fieldMessage, fieldID | fieldStatus | fieldMessage}

	shapes = map[string]shape{
		TypeStdout:        outputShape,
		TypeStderr:        outputShape,
		TypeDisplay:       displayShape,
		TypeUpdateDisplay: displayShape,
		TypeResult:        displayShape,
		TypeError:         errorShape,
		TypeClearOutput:   clearShape,
		typeCompletions:   completionsShape,
		typeCompleteness:  completenessShape,
		typeDone:          {doneMust, doneMust | fieldResult | fieldResultRepr},
		typeVerdict:       verdictShape,
	}

	statuses       = map[string]bool{StatusOK: true, StatusError: true, StatusInterrupted: true}
	sources        = map[string]bool{SourceExpression: true, SourceVariable: true, SourceNone: true}
	completenesses = map[string]bool{CodeComplete: true, CodeIncomplete: true, CodeInvalid: true}
	verdicts       = map[string]bool{
		VerdictPassed: true, VerdictWrongAnswer: true, VerdictRuntimeError: true,
		VerdictCompileError: true, VerdictInterrupted: true,
	}
)

// present is the set of fields that a message has.
func (m *message) present() field {
	var have field
	for i, is := range [...]bool{ // in the order of the constants
		m.ID != nil, m.Text != nil, m.Data != nil, m.Metadata != nil, m.DisplayID != nil,
		m.Name != nil, m.Value != nil, m.Traceback != nil, m.Status != nil,
		m.Result != nil, m.ResultJSON != nil, m.ResultRepr != nil, m.ResultSource != nil,
		m.Message != nil, m.Wait != nil, m.Matches != nil, m.Start != nil, m.End != nil, m.Indent != nil,
	} {
		if is {
			have |= 1 << i
		}
	}
	return have
}
