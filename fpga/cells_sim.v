// Models of the cells that fpga/ecp5.py and fpga/gowin.py instantiate, for simulation only (yosys has none of the multipliers).

// 18 x 18 bit multiplier. Modelled: operand, pipeline and output registers on CLK0/CE0/RST0 or bypassed, signed or not.
// Not modelled: shift chains, the C operand, other clocks; using them stops the simulation.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", parameter REG_INPUTA_CE = "CE0", parameter REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", parameter REG_INPUTB_CE = "CE0", parameter REG_INPUTB_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE", parameter REG_INPUTC_CE = "CE0", parameter REG_INPUTC_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE", parameter REG_PIPELINE_CE = "CE0", parameter REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE", parameter REG_OUTPUT_CE = "CE0", parameter REG_OUTPUT_RST = "RST0",
    parameter CLK0_DIV = "ENABLED", parameter CLK1_DIV = "ENABLED",
    parameter CLK2_DIV = "ENABLED", parameter CLK3_DIV = "ENABLED",
    parameter HIGHSPEED_CLK = "NONE", parameter GSR = "ENABLED", parameter CAS_MATCH_REG = "FALSE",
    parameter SOURCEB_MODE = "B_SHIFT", parameter MULT_BYPASS = "DISABLED", parameter RESETMODE = "SYNC"
) (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};

    reg [17:0] a_register, b_register;
    reg [35:0] pipeline_register, output_register;
    wire [17:0] a_used = REG_INPUTA_CLK == "NONE" ? a : a_register;
    wire [17:0] b_used = REG_INPUTB_CLK == "NONE" ? b : b_register;
    // A nineteenth bit makes one signed product of all four cases.
    wire signed [18:0] a_wide = {SIGNEDA & a_used[17], a_used};
    wire signed [18:0] b_wide = {SIGNEDB & b_used[17], b_used};
    wire signed [37:0] full = a_wide * b_wide;
    wire [35:0] pipelined = REG_PIPELINE_CLK == "NONE" ? full[35:0] : pipeline_register;
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
            P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0}
        = REG_OUTPUT_CLK == "NONE" ? pipelined : output_register;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_register <= 0;
            b_register <= 0;
            pipeline_register <= 0;
            output_register <= 0;
        end else if (CE0) begin
            a_register <= a;
            b_register <= b;
            pipeline_register <= full[35:0];
            output_register <= pipelined;
        end
        if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: shift chains are not modelled");
    end

    generate
        if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
            || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
            || (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != "CLK0")
            || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
            || REG_INPUTC_CLK != "NONE" || RESETMODE != "SYNC" || MULT_BYPASS != "DISABLED")
            initial $fatal(1, "MULT18X18D: only CLK0, CE0, RST0 and synchronous reset are modelled");
    endgenerate
endmodule

// Two LUT4 with carry. Each half adds: sum = lut(a, b, c, d) ^ carry, and where the LUT gives 0 the carry out is
// lut(a, b, 0, 0). INJECT1 cuts the carry into the sum and the generated carry.
module CCU2C #(
    parameter [15:0] INIT0 = 16'h0000, parameter [15:0] INIT1 = 16'h0000,
    parameter INJECT1_0 = "YES", parameter INJECT1_1 = "YES"
) (
    input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
    output S0, S1, COUT
);
    wire propagate0 = INIT0[{D0, C0, B0, A0}];
    wire propagate1 = INIT1[{D1, C1, B1, A1}];
    wire generate0 = INJECT1_0 == "NO" & INIT0[{2'b00, B0, A0}];
    wire generate1 = INJECT1_1 == "NO" & INIT1[{2'b00, B1, A1}];
    wire middle = propagate0 ? CIN : generate0;
    assign COUT = propagate1 ? middle : generate1;
    assign S0 = propagate0 ^ (INJECT1_0 == "NO" & CIN);
    assign S1 = propagate1 ^ (INJECT1_1 == "NO" & middle);
endmodule

// Gowin's 9 x 9 bit multiplier. Modelled: operand, pipeline and output registers or bypassed, signed or not, synchronous reset.
// Not modelled: shift chains; using them stops the simulation.
module MULT9X9 #(
    parameter [0:0] AREG = 0, parameter [0:0] BREG = 0, parameter [0:0] OUT_REG = 0, parameter [0:0] PIPE_REG = 0,
    parameter [0:0] ASIGN_REG = 0, parameter [0:0] BSIGN_REG = 0, parameter [0:0] SOA_REG = 0,
    parameter MULT_RESET_MODE = "SYNC"
) (
    input [8:0] A, SIA, B, SIB,
    input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [17:0] DOUT,
    output [8:0] SOA, SOB
);
    reg [8:0] a_register, b_register;
    reg [17:0] pipeline_register, output_register;
    wire [8:0] a_used = AREG ? a_register : A;
    wire [8:0] b_used = BREG ? b_register : B;
    // A tenth bit makes one signed product of all four cases.
    wire signed [9:0] a_wide = {ASIGN & a_used[8], a_used};
    wire signed [9:0] b_wide = {BSIGN & b_used[8], b_used};
    wire signed [19:0] full = a_wide * b_wide;
    wire [17:0] pipelined = PIPE_REG ? pipeline_register : full[17:0];
    assign DOUT = OUT_REG ? output_register : pipelined;
    assign SOA = 0;
    assign SOB = 0;

    always @(posedge CLK) begin
        if (RESET) begin
            a_register <= 0;
            b_register <= 0;
            pipeline_register <= 0;
            output_register <= 0;
        end else if (CE) begin
            a_register <= A;
            b_register <= B;
            pipeline_register <= full[17:0];
            output_register <= pipelined;
        end
        if (ASEL || BSEL) $fatal(1, "MULT9X9: shift chains are not modelled");
    end

    generate
        if (ASIGN_REG || BSIGN_REG || MULT_RESET_MODE != "SYNC")
            initial $fatal(1, "MULT9X9: registered signs and asynchronous reset are not modelled");
    endgenerate
endmodule

// 18 kbit block RAM, as yosys connects it. Modelled: 9, 18 and 36 bits; byte enables on the low address bits from 18 bits on; at 36 bits
// port A writes, port B reads and the word goes over the pins of both; a read that meets a write of the other port gets the old word.
// Not modelled: output registers, resets, chip selects, clock inverters; using them stops the simulation.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG", parameter RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC", parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB", parameter GSR = "AUTO",
    parameter [319:0] INITVAL_00 = 0, parameter [319:0] INITVAL_01 = 0, parameter [319:0] INITVAL_02 = 0, parameter
    [319:0] INITVAL_03 = 0, parameter [319:0] INITVAL_04 = 0, parameter [319:0] INITVAL_05 = 0, parameter [319:0]
    INITVAL_06 = 0, parameter [319:0] INITVAL_07 = 0, parameter [319:0] INITVAL_08 = 0, parameter [319:0] INITVAL_09 =
    0, parameter [319:0] INITVAL_0A = 0, parameter [319:0] INITVAL_0B = 0, parameter [319:0] INITVAL_0C = 0, parameter
    [319:0] INITVAL_0D = 0, parameter [319:0] INITVAL_0E = 0, parameter [319:0] INITVAL_0F = 0, parameter [319:0]
    INITVAL_10 = 0, parameter [319:0] INITVAL_11 = 0, parameter [319:0] INITVAL_12 = 0, parameter [319:0] INITVAL_13 =
    0, parameter [319:0] INITVAL_14 = 0, parameter [319:0] INITVAL_15 = 0, parameter [319:0] INITVAL_16 = 0, parameter
    [319:0] INITVAL_17 = 0, parameter [319:0] INITVAL_18 = 0, parameter [319:0] INITVAL_19 = 0, parameter [319:0]
    INITVAL_1A = 0, parameter [319:0] INITVAL_1B = 0, parameter [319:0] INITVAL_1C = 0, parameter [319:0] INITVAL_1D =
    0, parameter [319:0] INITVAL_1E = 0, parameter [319:0] INITVAL_1F = 0, parameter [319:0] INITVAL_20 = 0, parameter
    [319:0] INITVAL_21 = 0, parameter [319:0] INITVAL_22 = 0, parameter [319:0] INITVAL_23 = 0, parameter [319:0]
    INITVAL_24 = 0, parameter [319:0] INITVAL_25 = 0, parameter [319:0] INITVAL_26 = 0, parameter [319:0] INITVAL_27 =
    0, parameter [319:0] INITVAL_28 = 0, parameter [319:0] INITVAL_29 = 0, parameter [319:0] INITVAL_2A = 0, parameter
    [319:0] INITVAL_2B = 0, parameter [319:0] INITVAL_2C = 0, parameter [319:0] INITVAL_2D = 0, parameter [319:0]
    INITVAL_2E = 0, parameter [319:0] INITVAL_2F = 0, parameter [319:0] INITVAL_30 = 0, parameter [319:0] INITVAL_31 =
    0, parameter [319:0] INITVAL_32 = 0, parameter [319:0] INITVAL_33 = 0, parameter [319:0] INITVAL_34 = 0, parameter
    [319:0] INITVAL_35 = 0, parameter [319:0] INITVAL_36 = 0, parameter [319:0] INITVAL_37 = 0, parameter [319:0]
    INITVAL_38 = 0, parameter [319:0] INITVAL_39 = 0, parameter [319:0] INITVAL_3A = 0, parameter [319:0] INITVAL_3B =
    0, parameter [319:0] INITVAL_3C = 0, parameter [319:0] INITVAL_3D = 0, parameter [319:0] INITVAL_3E = 0, parameter
    [319:0] INITVAL_3F = 0
) (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
    DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
    DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
    DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
    DOB1, DOB0
);
    reg [8:0] bytes [0:2047];
    reg [35:0] read_a, read_b;
    wire [17:0] in_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0};
    wire [13:0] at_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [17:0] in_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0};
    wire [13:0] at_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [35:0] word = {in_b, in_a};
    // Of the first byte.
    wire [10:0] first_a = DATA_WIDTH_A == 36 ? {at_a[13:5], 2'b00} : DATA_WIDTH_A == 18 ? {at_a[13:4], 1'b0} : at_a[13:3];
    wire [10:0] first_b = DATA_WIDTH_B == 36 ? {at_b[13:5], 2'b00} : DATA_WIDTH_B == 18 ? {at_b[13:4], 1'b0} : at_b[13:3];
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
    DOA1, DOA0} = DATA_WIDTH_B == 36 ? read_b[17:0] : read_a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
    DOB1, DOB0} = DATA_WIDTH_B == 36 ? read_b[35:18] : read_b[17:0];
    wire [20479:0] init = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
    INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27,
    INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E,
    INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15,
    INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C,
    INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03,
    INITVAL_02, INITVAL_01, INITVAL_00};

    integer n;
    initial for (n = 0; n < 2048; n = n + 1) bytes[n] = init[(n / 2) * 20 + (n % 2) * 9 +: 9];

    always @(posedge CLKA) if (CEA) begin
        read_a <= {18'b0, bytes[first_a | 11'd1], bytes[first_a]};
        if (WEA) begin
            if (DATA_WIDTH_A == 9) bytes[first_a] <= in_a[8:0];
            else for (n = 0; n < DATA_WIDTH_A / 9; n = n + 1) if (at_a[n]) bytes[first_a | n[10:0]] <= word[n * 9 +: 9];
        end
    end
    always @(posedge CLKB) if (CEB) begin
        read_b <= {bytes[first_b | 11'd3], bytes[first_b | 11'd2], bytes[first_b | 11'd1], bytes[first_b]};
        if (WEB) begin
            if (DATA_WIDTH_B == 9) bytes[first_b] <= in_b[8:0];
            else if (at_b[1] | at_b[0]) for (n = 0; n < 2; n = n + 1) if (at_b[n]) bytes[first_b | n[10:0]] <= in_b[n * 9 +: 9];
        end
        if (RSTA || RSTB || CSA0 || CSA1 || CSA2 || CSB0 || CSB1 || CSB2)
            $fatal(1, "DP16KD: resets and chip selects are not modelled");
    end

    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
            || !(DATA_WIDTH_A == 9 || DATA_WIDTH_A == 18 || DATA_WIDTH_A == 36)
            || !(DATA_WIDTH_B == 9 || DATA_WIDTH_B == 18 || DATA_WIDTH_B == 36))
            initial $fatal(1, "DP16KD: only 9, 18 and 36 bits without output registers are modelled");
    endgenerate
endmodule
